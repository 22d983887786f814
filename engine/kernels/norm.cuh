// Mean and scale of a row for its norm: sums in f64, each thread its own elements in order, then a
// fixed tree. A row of 1e20 does not overflow, and the order depends on the width alone.
#pragma once
#include "number.cuh"

// The threads that share a row, here and where a norm stands before a product, so that both sum in
// one order: as many as there is shared memory for, which is 100 KB on some devices. The host asks
// the kernels.
#if __CUDA_ARCH__ == 860 || __CUDA_ARCH__ == 870 || __CUDA_ARCH__ == 890 || __CUDA_ARCH__ >= 1200
constexpr u32 WARPS = 8;
#else
constexpr u32 WARPS = 16;
#endif
constexpr u32 THREADS = 32 * WARPS;

struct Moments {
    double mean, scale;
};

// The sum over a block, in every thread. `scratch` holds a number for each warp, and is not used
// again before all threads have met once more.
__device__ __forceinline__ double sum_of_block(double x, double *scratch) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = x;
    __syncthreads();
    double sums[WARPS];
#pragma unroll
    for (int warp = 0; warp < WARPS; warp++) sums[warp] = scratch[warp];
#pragma unroll
    for (int step = WARPS / 2; step > 0; step /= 2) {
        for (int warp = 0; warp < step; warp++) sums[warp] += sums[warp + step];
    }
    return sums[0];
}

// `each` calls what it is given with every four elements of this thread: those at 4 · thread, then
// 4 · THREADS further on, and so forth. Past the end of a row stand zeros. `share` is one by the
// width, `scratch` two numbers for each warp.
template <class Each>
__device__ __forceinline__ Moments moments(Each each, u32 width, double share, float epsilon,
                                           bool centred, double *scratch) {
    double mean = 0.0, part = 0.0;
    if (centred) {
        each([&](const float (&x)[4]) {
            for (int i = 0; i < 4; i++) part += static_cast<double>(x[i]);
        });
        mean = sum_of_block(part, scratch + WARPS) * share;
        part = 0.0;
    }
    u32 seen = threadIdx.x * 4;
    each([&](const float (&x)[4]) {
        for (int i = 0; i < 4; i++) {
            double off = static_cast<double>(x[i]) - mean;
            // What stands past the end has no distance to the mean.
            if (seen + i < width) part = fma(off, off, part);
        }
        seen += 4 * THREADS;
    });
    double variance = sum_of_block(part, scratch) * share;
    return {mean, rsqrt(variance + static_cast<double>(epsilon))};
}

// Element `k` of the normalised row.
__device__ __forceinline__ float normalised(float x, Moments of, const float *weight,
                                            const float *bias, u32 k) {
    float value = static_cast<float>((static_cast<double>(x) - of.mean) * of.scale) * weight[k];
    return bias ? value + bias[k] : value;
}
