// The functions between the projections of a feed-forward network, element by element.
#include "activate.cuh"
#include "exp.cuh"

#define ELEMENT                                                            \
    u64 i = static_cast<u64>(blockIdx.x) * blockDim.x + threadIdx.x;       \
    if (i >= count) return

extern "C" __global__ void activate_swiglu_f32(float *out, const float *gate, const float *up,
                                               u64 count) {
    ELEMENT;
    out[i] = swiglu(gate[i], up[i]);
}

extern "C" __global__ void activate_swiglu_oai_f32(float *out, const float *gate, const float *up,
                                                   u64 count, float alpha, float limit) {
    ELEMENT;
    out[i] = swiglu_oai(gate[i], up[i], alpha, limit);
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
    out[i] = gelu_erf(up[i]);
}

extern "C" __global__ void activate_gelu_tanh_f32(float *out, const float *up, u64 count) {
    ELEMENT;
    out[i] = gelu_tanh(up[i]);
}

extern "C" __global__ void activate_gelu_f16_table_f32(float *out, const float *up, u64 count) {
    ELEMENT;
    out[i] = gelu_f16_table(up[i]);
}
