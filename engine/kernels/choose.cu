// From a row of logits to the next token's id, which becomes the token of the row that follows and
// is told to the host: the largest, or one drawn at a temperature. The same function as the
// sampler's, to the bit (engine/src/sampler: weights.rs, candidates.rs, rank.rs, philox.rs).
#include "choose.cuh"
#include "math.cuh"
#include "step.cuh"

constexpr int BLOCK = 256, LANES = 8, MOST_SUMS = 4096;

struct Largest {
    float logit;
    u32 id;
};

// Of equals the lower id. What is no number is larger than all, and has no id.
__device__ __forceinline__ Largest larger(Largest a, Largest b) {
    if (a.id == NO_NUMBER || b.id == NO_NUMBER) return {0.0f, NO_NUMBER};
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

// The largest of every gridDim-th 256 logits; NO_NUMBER if any is not finite. Grid: parts.
extern "C" __global__ void __launch_bounds__(BLOCK)
    largest_parts_f32(Largest *parts, const float *logits, u32 n) {
    Largest most = {-infinity(), NO_ID};
#pragma unroll 4
    for (u32 i = blockIdx.x * BLOCK + threadIdx.x; i < n; i += gridDim.x * BLOCK) {
        float logit = logits[i];
        most = larger(most, Largest{logit, finite(logit) ? i : NO_NUMBER});
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
    *next = most.id == NO_NUMBER ? 0 : most.id;
    tell(told, most.id);
}

// e^x for x <= 0, as weights.rs has it.
__device__ __forceinline__ double weight_exp(double x) {
    const double LEAST = -700.0, TO_INTEGER = 6755399441055744.0;
    const double SERIES[12] = {1.0 / 39916800.0, 1.0 / 3628800.0, 1.0 / 362880.0, 1.0 / 40320.0,
                               1.0 / 5040.0,     1.0 / 720.0,     1.0 / 120.0,    1.0 / 24.0,
                               1.0 / 6.0,        1.0 / 2.0,       1.0,            1.0};
    double inside = x < LEAST ? LEAST : x;
    double shifted = inside * f64_of_bits(0x3FF71547652B82FEull) + TO_INTEGER;
    double k = shifted - TO_INTEGER;
    double r = (inside - k * f64_of_bits(0x3FE62E42FEE00000ull)) -
               k * f64_of_bits(0x3DEA39EF35793C76ull);
    double series = SERIES[0];
#pragma unroll
    for (int i = 1; i < 12; i++) series = series * r + SERIES[i];
    u64 bits = static_cast<u64>(__double_as_longlong(shifted)) << 52;
    double power = f64_of_bits(bits + (1023ull << 52));
    return x < LEAST ? 0.0 : series * power;
}

__device__ __forceinline__ double weight(const float *logits, u32 i, u32 best, float temperature) {
    double largest = static_cast<double>(logits[best]);
    double steepness = 1.0 / static_cast<double>(temperature);
    return weight_exp((static_cast<double>(logits[i]) - largest) * steepness);
}

// sums[b]: of the weights of logits 256 b .. 256 b + 255, in eight lanes. Grid: blocks.
extern "C" __global__ void __launch_bounds__(BLOCK)
    weigh_f32(double *sums, const float *logits, const u32 *best, u32 n, float temperature) {
    __shared__ double weights[BLOCK], lanes[LANES];
    u32 i = blockIdx.x * BLOCK + threadIdx.x, id = *best;
    if (id == NO_NUMBER) return;
    weights[threadIdx.x] = i < n ? weight(logits, i, id, temperature) : 0.0;
    __syncthreads();
    if (threadIdx.x < LANES) {
        double sum = 0.0;
        for (u32 j = threadIdx.x; j < BLOCK; j += LANES) sum += weights[j];
        lanes[threadIdx.x] = sum;
    }
    __syncthreads();
    if (threadIdx.x) return;
    sums[blockIdx.x] = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
                       ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

// Philox4x32-10 keyed by seed, counting positions; a number in [0, 1) in steps of 2^-53.
__device__ __forceinline__ double uniform(u64 seed, u64 position) {
    u32 c[4] = {static_cast<u32>(position), static_cast<u32>(position >> 32), 0, 0};
    u32 k[2] = {static_cast<u32>(seed), static_cast<u32>(seed >> 32)};
    for (int round = 0; round < 10; round++) {
        u64 a = static_cast<u64>(0xD2511F53u) * c[0], b = static_cast<u64>(0xCD9E8D57u) * c[2];
        u32 x = static_cast<u32>(b >> 32) ^ c[1] ^ k[0];
        u32 z = static_cast<u32>(a >> 32) ^ c[3] ^ k[1];
        c[0] = x, c[1] = static_cast<u32>(b), c[2] = z, c[3] = static_cast<u32>(a);
        k[0] += 0x9E3779B9u, k[1] += 0xBB67AE85u;
    }
    u64 word = static_cast<u64>(c[0]) << 32 | c[1];
    return static_cast<double>(word >> 11) / 9007199254740992.0;
}

// In place of each of a block's parts, their sum so far: one after the other, as the sampler adds.
__device__ __forceinline__ void add_up(double *parts, u32 count) {
    __syncthreads();
    if (threadIdx.x == 0) {
        double sum = 0.0;
#pragma unroll 8
        for (u32 i = 0; i < count; i++) sum += parts[i], parts[i] = sum;
    }
    __syncthreads();
}

// Where sums first exceed *target, which becomes what is left for that part; the last part that
// weighs anything (`weighs(i)`) if rounding keeps them below. All threads of the block.
template <class Weighs>
__device__ __forceinline__ u32 passes(const double *sums, u32 count, double *target,
                                      Weighs weighs) {
    __shared__ u32 first, last;
    if (threadIdx.x == 0) first = NO_ID, last = 0;
    __syncthreads();
    for (u32 i = threadIdx.x; i < count; i += BLOCK) {
        if (sums[i] > *target) atomicMin(&first, i);
        if (weighs(i)) atomicMax(&last, i);
    }
    __syncthreads();
    u32 place = first == NO_ID ? last : first;
    *target -= place ? sums[place - 1] : 0.0;
    return place;
}

// One block. The draw of the token behind row `row`; `sums` are those of `weigh_f32`.
extern "C" __global__ void __launch_bounds__(BLOCK)
    draw_f32(const double *sums, const float *logits, const u32 *best, u32 *next, u32 *told,
             const Row *row, u64 seed, u32 n, float temperature) {
    __shared__ double parts[MOST_SUMS];
    u32 id = *best, blocks = (n + BLOCK - 1) / BLOCK;
    if (id != NO_NUMBER) {
        for (u32 i = threadIdx.x; i < blocks; i += BLOCK) parts[i] = sums[i];
        add_up(parts, blocks);
        double target = uniform(seed, static_cast<u64>(row->position) + 1) * parts[blocks - 1];
        u32 chosen = passes(parts, blocks, &target, [&](u32 i) { return sums[i] > 0.0; });
        u32 from = chosen * BLOCK, i = from + threadIdx.x;
        double own = i < n ? weight(logits, i, id, temperature) : 0.0;
        __syncthreads();
        parts[threadIdx.x] = own;
        add_up(parts, BLOCK);
        u32 count = min(n - from, static_cast<u32>(BLOCK));
        id = from + passes(parts, count, &target, [&](u32) { return own > 0.0; });
    }
    if (threadIdx.x) return;
    *next = id == NO_NUMBER ? 0 : id;
    tell(told, id);
}
