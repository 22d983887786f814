// The k largest of a row of logits, of equals those of lower ids, told to the host: three kernels.
// A row is cut into 1,024 parts, and the k-th largest of the parts' largest bounds from below what
// can be among the k largest of all; there are hardly more such logits than k.
#include "choose.cuh"

constexpr u32 BLOCK = 1024, PARTS = 1024, ROOM = 2048;

// A float's bits as an integer that orders the same way; both zeros are one number.
__device__ __forceinline__ u32 ordered(float v) {
    u32 bits = __float_as_uint(v + 0.0f);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

struct Candidate {
    u32 key, id;
};

__device__ __forceinline__ bool before(Candidate a, Candidate b) {
    return a.key > b.key || (a.key == b.key && a.id < b.id);
}

// What was found so far: the parts' largest, 0 of empty ones; how many candidates; whether any
// logit of a part is not finite.
struct Found {
    u32 tops[PARTS], odd[PARTS], count;
    Candidate near[ROOM];
};

// A part is what a warp has; of few logits, what a thread of the first block has. Grid: (PARTS / 32).
extern "C" __global__ void __launch_bounds__(BLOCK)
    likeliest_tops_f32(Found *found, const float *logits, u32 n) {
    u32 thread = blockIdx.x * BLOCK + threadIdx.x, top = 0, odd = 0;
    bool few = n < 32 * PARTS;
    if (thread == 0) found->count = 0;
    if (few && blockIdx.x > 0) return;
#pragma unroll 4
    for (u32 i = thread; i < n; i += few ? PARTS : 32 * PARTS) {
        float logit = logits[i];
        odd |= !finite(logit);
        top = max(top, ordered(logit));
    }
    if (!few) {
        top = __reduce_max_sync(0xffffffffu, top);
        odd = __any_sync(0xffffffffu, odd);
        thread /= 32;
    }
    if (few || threadIdx.x % 32 == 0) found->tops[thread] = top, found->odd[thread] = odd;
}

// Keeps what is not below the bound, in no order. Grid: any.
extern "C" __global__ void __launch_bounds__(BLOCK)
    likeliest_near_f32(Found *found, const float *logits, u32 n, u32 k) {
    u32 own = found->tops[threadIdx.x], bound = 0;
#pragma unroll 1
    for (u32 bit = 0x80000000u; bit; bit /= 2) {
        if (__syncthreads_count(own >= (bound | bit)) >= static_cast<int>(k)) bound |= bit;
    }
    for (u32 i = blockIdx.x * BLOCK + threadIdx.x; i < n; i += gridDim.x * BLOCK) {
        u32 key = ordered(logits[i]);
        if (key < bound) continue;
        // Whole numbers only, and whoever comes first: ranks below do not depend on places.
        u32 place = atomicInc(&found->count, ~0u);
        if (place < ROOM) found->near[place] = Candidate{key, i};
    }
}

// told[1 + 2i] is an id and what follows it the logit's bits, by falling logit; told[0] says k when
// all of them are there, NO_NUMBER if any logit is not finite, and 0 if equals are too many to be
// put in order here. One block.
extern "C" __global__ void __launch_bounds__(BLOCK)
    likeliest_f32(const Found *found, const float *logits, u32 *told, u32 k) {
    __shared__ Candidate near[ROOM];
    u32 count = found->count;
    bool fits = count <= ROOM;
    for (u32 i = threadIdx.x; fits && i < count; i += BLOCK) near[i] = found->near[i];
    bool odd = __syncthreads_or(found->odd[threadIdx.x]);
    for (u32 i = threadIdx.x; fits && i < count; i += BLOCK) {
        u32 rank = 0;
        for (u32 j = 0; j < count; j++) rank += before(near[j], near[i]);
        if (rank >= k) continue;
        *(volatile u32 *)(told + 1 + 2 * rank) = near[i].id;
        *(volatile u32 *)(told + 2 + 2 * rank) = __float_as_uint(logits[near[i].id]);
    }
    __threadfence_system();
    __syncthreads();
    if (threadIdx.x == 0) tell(told, odd ? NO_NUMBER : fits ? k : 0);
}
