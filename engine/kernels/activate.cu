// The functions between the projections of a feed-forward network, element by element.
#include "activate.cuh"

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

extern "C" __global__ void activate_swiglu_fast(float *out, const float *gate, const float *up,
                                                u64 count) {
    ELEMENT;
    out[i] = swiglu_fast(gate[i], up[i]);
}

extern "C" __global__ void activate_swiglu_oai_fast(float *out, const float *gate, const float *up,
                                                    u64 count, float alpha, float limit) {
    ELEMENT;
    out[i] = swiglu_oai_fast(gate[i], up[i], alpha, limit);
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
