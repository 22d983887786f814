// From a row of logits to the next token's id, which becomes the token of the row that follows and
// is told to the host: the largest, or one drawn at a temperature. The same function as the
// sampler's, to the bit (engine/src/sampler: weights.rs, candidates.rs, rank.rs, philox.rs).
#include "choose.cuh"
#include "step.cuh"

constexpr u32 MOST_SUMS = 4096;

struct Largest {
    float logit;
    u32 id;
};

// Of equals the lower id. What is no number is larger than all, and has no id.
__device__ __forceinline__ Largest larger(Largest a, Largest b) {
    if (a.id == HOST_LOOKS || b.id == HOST_LOOKS) return {0.0f, HOST_LOOKS};
    return b.logit > a.logit || (b.logit == a.logit && b.id < a.id) ? b : a;
}

// The largest of what the threads of a block have, in thread 0.
__device__ __forceinline__ Largest largest_of_block(Largest own) {
    __shared__ Largest found[BLOCK / 32];
    auto of_warp = [&] {
#pragma unroll
        for (int step = 16; step > 0; step /= 2) {
            Largest other = {__shfl_xor_sync(0xffffffffu, own.logit, step),
                             __shfl_xor_sync(0xffffffffu, own.id, step)};
            own = larger(own, other);
        }
    };
    of_warp();
    if (threadIdx.x % 32 == 0) found[threadIdx.x / 32] = own;
    __syncthreads();
    own = threadIdx.x < BLOCK / 32 ? found[threadIdx.x] : Largest{-infinity(), NO_ID};
    if (threadIdx.x < 32) of_warp();
    return own;
}

// The largest of every gridDim-th 256 logits; HOST_LOOKS if any is not finite. Grid: parts.
extern "C" __global__ void __launch_bounds__(BLOCK)
    largest_parts_f32(Largest *parts, const float *logits, u32 n) {
    Largest most = {-infinity(), NO_ID};
#pragma unroll 4
    for (u32 i = blockIdx.x * BLOCK + threadIdx.x; i < n; i += gridDim.x * BLOCK) {
        float logit = logits[i];
        most = larger(most, Largest{logit, finite(logit) ? i : HOST_LOOKS});
    }
    most = largest_of_block(most);
    if (threadIdx.x == 0) parts[blockIdx.x] = most;
}

// One block. `best` is the largest's id for draw_f32; without `next` it is only left there.
extern "C" __global__ void __launch_bounds__(BLOCK)
    largest_f32(const Largest *parts, u32 *best, u32 *next, u32 *told, u32 count) {
    Largest most = {-infinity(), NO_ID};
    for (u32 i = threadIdx.x; i < count; i += BLOCK) most = larger(most, parts[i]);
    most = largest_of_block(most);
    if (threadIdx.x) return;
    *best = most.id;
    if (!next) return;
    *next = most.id == HOST_LOOKS ? 0 : most.id;
    tell(told, most.id);
}

// sums[b]: of the weights of logits 256 b .. 256 b + 255, in eight lanes. Grid: blocks.
extern "C" __global__ void __launch_bounds__(BLOCK)
    weigh_f32(double *sums, const float *logits, const u32 *best, u32 n, float temperature) {
    __shared__ double weights[BLOCK];
    u32 i = blockIdx.x * BLOCK + threadIdx.x, id = *best;
    if (id == HOST_LOOKS) return;
    weights[threadIdx.x] = i < n ? weight(logits[i], logits[id], temperature) : 0.0;
    double sum = sum_of_block(weights);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// One block. The draw of the token behind row `row`; `sums` are those of `weigh_f32`.
extern "C" __global__ void __launch_bounds__(BLOCK)
    draw_f32(const double *sums, const float *logits, const u32 *best, u32 *next, u32 *told,
             const Row *row, u64 seed, u32 n, float temperature) {
    __shared__ double parts[MOST_SUMS];
    u32 id = *best, blocks = (n + BLOCK - 1) / BLOCK;
    if (id != HOST_LOOKS) {
        for (u32 i = threadIdx.x; i < blocks; i += BLOCK) parts[i] = sums[i];
        add_up(parts, blocks);
        double target = uniform(seed, static_cast<u64>(row->position) + 1) * parts[blocks - 1];
        u32 chosen = passes(parts, blocks, &target, [&](u32 i) { return sums[i] > 0.0; });
        u32 from = chosen * BLOCK, i = from + threadIdx.x;
        double own = i < n ? weight(logits[i], logits[id], temperature) : 0.0;
        __syncthreads();
        parts[threadIdx.x] = own;
        add_up(parts, BLOCK);
        u32 count = min(n - from, BLOCK);
        id = from + passes(parts, count, &target, [&](u32) { return own > 0.0; });
    }
    if (threadIdx.x) return;
    *next = id == HOST_LOOKS ? 0 : id;
    tell(told, id);
}
