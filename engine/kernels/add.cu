// The residual stream: f32 on both sides, because gpt-oss leaves the range of f16.
#include "number.cuh"

// to[i] = to[i] + more[i] for n elements.
extern "C" __global__ void add_f32(float *to, const float *more, u64 n) {
    u64 i = static_cast<u64>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i < n) to[i] = to[i] + more[i];
}
