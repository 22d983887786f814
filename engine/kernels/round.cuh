// A row of f32 as f16, times the power of two that brings its largest number to 2^13 and below
// 2^14, so that neither large rows overflow nor small ones lose bits.
#pragma once
#include "number.cuh"

// out[:stride] = x[:width] · 2^n, zeros past the end; undo = 2^-n. Threads take every THREADS-th
// element, and `top` is the largest magnitude among a thread's own.
template <int THREADS>
__device__ __forceinline__ void round_row(u16 *out, float *undo, const float *x, u32 width,
                                          u32 stride, float top) {
    __shared__ float most[THREADS / 32];
#pragma unroll
    for (int step = 16; step > 0; step /= 2) {
        top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, step));
    }
    if (threadIdx.x % 32 == 0) most[threadIdx.x / 32] = top;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < THREADS / 32; i++) top = fmaxf(top, most[i]);
    // What is no number stays none: nothing is scaled, and f16 has infinity and NaN too.
    int exponent = static_cast<int>(__float_as_uint(top) >> 23);
    int n = exponent == 255 || top == 0.0f ? 0 : min(127 + 13 - exponent, 120);
    float factor = __uint_as_float(static_cast<u32>(127 + n) << 23);
    for (u32 i = threadIdx.x; i < stride; i += THREADS) {
        out[i] = i < width ? f16_of_f32(x[i] * factor) : 0;
    }
    if (threadIdx.x == 0) *undo = __uint_as_float(static_cast<u32>(127 - n) << 23);
}
