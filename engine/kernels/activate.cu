// The functions between the projections of a feed-forward network, element by element.
#include "exp.cuh"
#include "math.cuh"

__device__ float gelu_tanh(float value) {
    double x = static_cast<double>(value);
    double inner = sqrt(2.0 / 3.14159265358979323846) * x * (1.0 + 0.044715 * x * x);
    return static_cast<float>(0.5 * x * (1.0 + tanh_f64(inner)));
}

// Clamps, and keeps NaN, so that a broken row is found where it broke.
__device__ float clamped(float x, float low, float high) {
    return x != x ? x : fminf(fmaxf(x, low), high);
}

#define ELEMENT                                                            \
    u64 i = static_cast<u64>(blockIdx.x) * blockDim.x + threadIdx.x;       \
    if (i >= count) return

extern "C" __global__ void activate_swiglu_f32(float *out, const float *gate, const float *up,
                                               u64 count) {
    ELEMENT;
    double x = static_cast<double>(gate[i]);
    out[i] = static_cast<float>(x * sigmoid_f64(x)) * up[i];
}

extern "C" __global__ void activate_swiglu_oai_f32(float *out, const float *gate, const float *up,
                                                   u64 count, float alpha, float limit) {
    ELEMENT;
    float x = clamped(gate[i], __uint_as_float(0xFF800000), limit);
    float y = clamped(up[i], -limit, limit);
    double slope = sigmoid_f64(static_cast<double>(alpha) * static_cast<double>(x));
    out[i] = static_cast<float>(static_cast<double>(x) * slope) * (y + 1.0f);
}

// The same in f32 throughout, for products that are rounded more coarsely anyway.
extern "C" __global__ void activate_swiglu_fast(float *out, const float *gate, const float *up,
                                                u64 count) {
    ELEMENT;
    out[i] = gate[i] * sigmoid_f32(gate[i]) * up[i];
}

extern "C" __global__ void activate_swiglu_oai_fast(float *out, const float *gate, const float *up,
                                                    u64 count, float alpha, float limit) {
    ELEMENT;
    float x = clamped(gate[i], __uint_as_float(0xFF800000), limit);
    float y = clamped(up[i], -limit, limit);
    out[i] = x * sigmoid_f32(alpha * x) * (y + 1.0f);
}

extern "C" __global__ void activate_gelu_erf_f32(float *out, const float *up, u64 count) {
    ELEMENT;
    double x = static_cast<double>(up[i]);
    out[i] = static_cast<float>(0.5 * x * (1.0 + erf_f64(x * 0.70710678118654752440)));
}

extern "C" __global__ void activate_gelu_tanh_f32(float *out, const float *up, u64 count) {
    ELEMENT;
    out[i] = gelu_tanh(up[i]);
}

// From a table over all f16 values, as ggml does on the CPU; the table ends at ten.
extern "C" __global__ void activate_gelu_f16_table_f32(float *out, const float *up, u64 count) {
    ELEMENT;
    float x = up[i];
    float rounded = f32_of_f16(f16_of_f32(gelu_tanh(f32_of_f16(f16_of_f32(x)))));
    out[i] = x <= -10.0f ? 0.0f : x >= 10.0f ? x : rounded;
}
