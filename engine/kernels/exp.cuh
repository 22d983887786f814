// 2^x in f32 out of additions and multiplications: the same bits on every device, 1e-7 off at most,
// where math.cuh's functions in f64 would cost more than the products around them.
#pragma once
#include "number.cuh"

// For x <= 0; below 2^-126 it is 0, and NaN stays NaN.
__device__ __forceinline__ float exp2_of_negative(float x) {
    // The sum's lowest bits are the nearest whole number to x.
    float shifted = x + 12582912.0f;
    float rest = x - (shifted - 12582912.0f);
    float y = 1.5403530e-4f;
    y = fmaf(y, rest, 1.3333558e-3f);
    y = fmaf(y, rest, 9.6181291e-3f);
    y = fmaf(y, rest, 5.5504109e-2f);
    y = fmaf(y, rest, 2.4022651e-1f);
    y = fmaf(y, rest, 6.9314718e-1f);
    y = fmaf(y, rest, 1.0f);
    y *= __uint_as_float((__float_as_uint(shifted) << 23) + 0x3F800000u);
    return x < -126.0f ? 0.0f : y;
}

// 1 / (1 + e^-x), relative error 1e-6.
__device__ __forceinline__ float sigmoid_f32(float x) {
    float e = exp2_of_negative(-1.44269504f * fabsf(x));
    float y = 1.0f / (1.0f + e);
    return x < 0.0f ? e * y : y;
}
