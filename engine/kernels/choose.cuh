// What the kernels that choose a token share with the sampler, to the bit: what logits weigh, in
// which order weights are added up, chance, and where a sum passes it. (engine/src/sampler:
// weights.rs, rank.rs, philox.rs.) And how an id is told.
#pragma once
#include "math.cuh"

// Instead of an id: that the host has to look at the logits, and that there is none yet.
constexpr u32 HOST_LOOKS = 0xfffffffeu, NO_ID = 0xffffffffu;
// Weights that are added up together, and sums in flight among them.
constexpr u32 BLOCK = 256, LANES = 8;

__device__ __forceinline__ float infinity() { return __uint_as_float(0x7F800000); }
__device__ __forceinline__ bool finite(float x) { return fabsf(x) <= 3.402823466e38f; }

__device__ __forceinline__ void tell(u32 *told, u32 id) {
    if (told) *(volatile u32 *)told = id;
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

__device__ __forceinline__ double weight(float logit, float largest, float temperature) {
    double steepness = 1.0 / static_cast<double>(temperature);
    return weight_exp((static_cast<double>(logit) - static_cast<double>(largest)) * steepness);
}

// The sum of BLOCK weights, zeros behind the last, in every thread.
__device__ __forceinline__ double sum_of_block(const double *weights) {
    __shared__ double lanes[LANES];
    __syncthreads();
    if (threadIdx.x < LANES) {
        double sum = 0.0;
#pragma unroll 8
        for (u32 j = threadIdx.x; j < BLOCK; j += LANES) sum += weights[j];
        lanes[threadIdx.x] = sum;
    }
    __syncthreads();
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
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
    for (u32 i = threadIdx.x; i < count; i += blockDim.x) {
        if (sums[i] > *target) atomicMin(&first, i);
        if (weighs(i)) atomicMax(&last, i);
    }
    __syncthreads();
    u32 place = first == NO_ID ? last : first;
    *target -= place ? sums[place - 1] : 0.0;
    return place;
}
