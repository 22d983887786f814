// The functions between the projections of a feed-forward network, of one element.
#pragma once
#include "exp.cuh"
#include "math.cuh"

__device__ inline float gelu_tanh(float value) {
    double x = static_cast<double>(value);
    double inner = sqrt(2.0 / 3.14159265358979323846) * x * (1.0 + 0.044715 * x * x);
    return static_cast<float>(0.5 * x * (1.0 + tanh_f64(inner)));
}

__device__ inline float gelu_erf(float value) {
    double x = static_cast<double>(value);
    return static_cast<float>(0.5 * x * (1.0 + erf_f64(x * 0.70710678118654752440)));
}

// From a table over all f16 values, as ggml does on the CPU; the table ends at ten.
__device__ inline float gelu_f16_table(float x) {
    float rounded = f32_of_f16(f16_of_f32(gelu_tanh(f32_of_f16(f16_of_f32(x)))));
    return x <= -10.0f ? 0.0f : x >= 10.0f ? x : rounded;
}

__device__ __forceinline__ float swiglu(float gate, float up) {
    double x = static_cast<double>(gate);
    return static_cast<float>(x * sigmoid_f64(x)) * up;
}

// Clamps, and keeps NaN, so that a broken row is found where it broke.
__device__ __forceinline__ float clamped(float x, float low, float high) {
    return x != x ? x : fminf(fmaxf(x, low), high);
}

__device__ __forceinline__ float swiglu_oai(float gate, float up, float alpha, float limit) {
    float x = clamped(gate, __uint_as_float(0xFF800000), limit);
    float y = clamped(up, -limit, limit);
    double slope = sigmoid_f64(static_cast<double>(alpha) * static_cast<double>(x));
    return static_cast<float>(static_cast<double>(x) * slope) * (y + 1.0f);
}

// The same two in f32 throughout, for models whose prompts' products are rounded more coarsely
// anyway. Generated rows take them too: a row's function must not depend on its company.
__device__ __forceinline__ float swiglu_fast(float gate, float up) {
    return gate * sigmoid_f32(gate) * up;
}

__device__ __forceinline__ float swiglu_oai_fast(float gate, float up, float alpha, float limit) {
    float x = clamped(gate, __uint_as_float(0xFF800000), limit);
    float y = clamped(up, -limit, limit);
    return x * sigmoid_f32(alpha * x) * (y + 1.0f);
}
