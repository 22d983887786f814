// Rows of f32 as f16, each times the power of two that brings its largest number to 2^13 and below
// 2^14, so that neither large rows overflow nor small ones lose bits.
#include "number.cuh"

constexpr int THREADS = 256;

// out[r, :stride] = x[r, :width] · 2^n, zeros past the end; undo[r] = 2^-n. Grid: rows.
extern "C" __global__ void __launch_bounds__(THREADS) round_f32(u16 *out, float *undo,
                                                                const float *x, u32 width,
                                                                u32 stride) {
    __shared__ float most[THREADS / 32];
    x += static_cast<u64>(blockIdx.x) * width;
    out += static_cast<u64>(blockIdx.x) * stride;
    float top = 0.0f;
    for (u32 i = threadIdx.x; i < width; i += THREADS) top = fmaxf(top, fabsf(x[i]));
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
    if (threadIdx.x == 0) undo[blockIdx.x] = __uint_as_float(static_cast<u32>(127 - n) << 23);
}
