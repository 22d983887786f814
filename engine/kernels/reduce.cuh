// Sums over a warp in one fixed order.
#pragma once
#include "number.cuh"

// The sum over a warp, in every lane: each step adds the same two numbers in both lanes.
__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
    return x;
}
