// Sums over a warp or a block in one fixed order.
#pragma once
#include "number.cuh"

// The sum over a warp, in every lane: each step adds the same two numbers in both lanes.
__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
    return x;
}

// The sum over a block of THREADS threads, in every thread. `scratch` holds THREADS numbers.
template <int THREADS>
__device__ inline double block_sum(double x, double *scratch) {
    __syncthreads();
    scratch[threadIdx.x] = x;
    for (int half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) scratch[threadIdx.x] += scratch[threadIdx.x + half];
    }
    __syncthreads();
    return scratch[0];
}
