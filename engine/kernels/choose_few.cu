// The next token out of the k largest of a row of logits (of equals those of lower ids), as the
// sampler chooses with top-k, top-p, min-p and a temperature (engine/src/sampler: candidates.rs,
// rank.rs), to the bit: three kernels. A row is cut into 1,024 parts, and the k-th largest of the
// parts' largest bounds from below what can be among the k largest of all; there are hardly more
// such logits than k.
#include "choose.cuh"
#include "step.cuh"

constexpr u32 THREADS = 1024, PARTS = 1024, ROOM = 2048;

// A float's bits as an integer that orders the same way; both zeros are one number.
__device__ __forceinline__ u32 ordered(float v) {
    u32 bits = __float_as_uint(v + 0.0f);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

__device__ __forceinline__ float logit_of(u32 key) {
    return __uint_as_float(key >> 31 ? key & 0x7FFFFFFFu : ~key);
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

// A part is what a warp has; of few logits, what a thread of the first block has.
// Grid: (PARTS / 32).
extern "C" __global__ void __launch_bounds__(THREADS)
    few_tops_f32(Found *found, const float *logits, u32 n) {
    u32 thread = blockIdx.x * THREADS + threadIdx.x, top = 0, odd = 0;
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
extern "C" __global__ void __launch_bounds__(THREADS)
    few_near_f32(Found *found, const float *logits, u32 n, u32 k) {
    u32 own = found->tops[threadIdx.x], bound = 0;
#pragma unroll 1
    for (u32 bit = 0x80000000u; bit; bit /= 2) {
        if (__syncthreads_count(own >= (bound | bit)) >= static_cast<int>(k)) bound |= bit;
    }
    for (u32 i = blockIdx.x * THREADS + threadIdx.x; i < n; i += gridDim.x * THREADS) {
        u32 key = ordered(logits[i]);
        if (key < bound) continue;
        // Whole numbers only, and whoever comes first: ranks below do not depend on places.
        u32 place = atomicInc(&found->count, ~0u);
        if (place < ROOM) found->near[place] = Candidate{key, i};
    }
}

// Bins of a sixteenth, by the distance from the largest logit.
constexpr u32 BINS = 2048;

// The first k in their order, and what they weigh; the weights once more in order of id, zeros
// behind the last, and which of them has each.
struct Few {
    u32 ids[BLOCK], bins[BLOCK], by_id[BLOCK];
    float logits[BLOCK];
    double own[BLOCK], weights[BLOCK];

    // Those of the first `count`; all threads of the block.
    __device__ __forceinline__ void weigh(u32 count, float temperature) {
        u32 self = threadIdx.x, place = self;
        double found = 0.0;
        if (self < count) {
            place = 0;
            for (u32 i = 0; i < count; i++) place += ids[i] < ids[self];
            found = weight(logits[self], logits[0], temperature);
            double distance = static_cast<double>(logits[0]) - static_cast<double>(logits[self]);
            bins[self] = static_cast<u32>(fmin(distance * 16.0, BINS - 1.0));
        }
        __syncthreads();
        if (self < BLOCK) own[self] = found, weights[place] = found, by_id[place] = self;
        __syncthreads();
    }
};

// Of how many the weights, summed in order, reach `target`; one thread. Looks at those within some
// distance of the largest, by the sums of bins; within a bin weights are added in order of id.
__device__ u32 nucleus(const Few &few, u32 count, double *bins, double target) {
    u32 near = 0;
    for (double reach = 8.0;; reach *= 4.0) {
        double least = static_cast<double>(few.logits[0]) - reach;
        float bound = static_cast<float>(fmax(least, -3.4028234663852886e38));
        while (near < count && few.logits[near] >= bound) near++;
        for (u32 i = 0; i < near; i++) bins[few.bins[i]] = 0.0;
        for (u32 place = 0; place < count; place++) {
            u32 i = few.by_id[place];
            if (i < near) bins[few.bins[i]] += few.own[i];
        }
        double sum = 0.0;
        for (u32 i = 0; i < near; i++) {
            if (i == 0 || few.bins[i] != few.bins[i - 1]) sum += bins[few.bins[i]];
        }
        if (near == count || sum >= target) break;
    }
    double sum = 0.0, rest = 0.0, inside = 0.0;
    u32 crossed = 0, end = 0;
    for (u32 i = 0; i < near; i++) {
        u32 bin = few.bins[i];
        if ((i > 0 && bin == few.bins[i - 1]) || !(bins[bin] > 0.0)) continue;
        crossed = bin, rest = target - sum;
        sum += bins[bin];
        if (sum >= target) break;
    }
    for (u32 i = 0; i < near; i++) {
        if (few.bins[i] != crossed) continue;
        inside += few.own[i], end = i + 1;
        if (inside >= rest) break;
    }
    return end;
}

// The smallest f32 that is not below.
__device__ __forceinline__ float not_below(double least) {
    float rounded = static_cast<float>(least);
    if (static_cast<double>(rounded) >= least) return rounded;
    u32 bits = __float_as_uint(rounded);
    if (rounded == 0.0f) return __uint_as_float(1);
    return __uint_as_float(bits >> 31 ? bits - 1 : bits + 1);
}

// One block. The draw of the token behind row `row`; `least` is the logarithm of min-p by its bits,
// of nothing if there is none. Where equals are too many to be put in order here, or a logit is not
// finite, the host has to look.
extern "C" __global__ void __launch_bounds__(THREADS)
    draw_few_f32(const Found *found, u32 *next, u32 *told, const Row *row, u64 seed, u32 k,
                 float temperature, float top_p, float min_p, u64 least) {
    __shared__ Candidate near[ROOM];
    __shared__ double bins[BINS];
    __shared__ Few few;
    __shared__ u32 end;
    u32 self = threadIdx.x, count = found->count;
    for (u32 i = self; i < min(count, ROOM); i += THREADS) near[i] = found->near[i];
    if (__syncthreads_or(found->odd[self] || count > ROOM)) {
        if (self == 0) *next = 0, tell(told, HOST_LOOKS);
        return;
    }
    for (u32 i = self; i < count; i += THREADS) {
        u32 rank = 0;
        for (u32 j = 0; j < count; j++) rank += before(near[j], near[i]);
        if (rank < k) few.ids[rank] = near[i].id, few.logits[rank] = logit_of(near[i].key);
    }
    __syncthreads();
    if (top_p != 1.0f) {
        few.weigh(k, 1.0f);
        double target = static_cast<double>(top_p) * sum_of_block(few.weights);
        if (self == 0) end = nucleus(few, k, bins, target);
        __syncthreads();
        k = end;
    }
    if (min_p > 0.0f) {
        float bound = not_below(static_cast<double>(few.logits[0]) + f64_of_bits(least));
        k = __syncthreads_count(self < k && few.logits[self] >= bound);
    }
    few.weigh(k, temperature);
    double total = sum_of_block(few.weights), own = self < BLOCK ? few.weights[self] : 0.0;
    double target = uniform(seed, static_cast<u64>(row->position) + 1) * total;
    add_up(few.weights, k);
    u32 place = passes(few.weights, k, &target, [&](u32) { return own > 0.0; });
    if (self) return;
    u32 id = few.ids[few.by_id[place]];
    *next = id;
    tell(told, id);
}
