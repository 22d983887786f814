// Norms over one row: sums in f64, each thread its own columns, then a fixed tree. A row of 1e20
// does not overflow, and the order depends on the width alone.
#include "reduce.cuh"

constexpr int THREADS = 256;

__device__ void norm(float *out, const float *x, const float *weight, const float *bias, u32 width,
                     float epsilon, bool centred) {
    __shared__ double scratch[THREADS];
    const float *row = x + static_cast<u64>(blockIdx.x) * width;
    float *to = out + static_cast<u64>(blockIdx.x) * width;
    double mean = 0.0;
    if (centred) {
        double part = 0.0;
        for (u32 i = threadIdx.x; i < width; i += THREADS) part += static_cast<double>(row[i]);
        mean = block_sum<THREADS>(part, scratch) / static_cast<double>(width);
    }
    double part = 0.0;
    for (u32 i = threadIdx.x; i < width; i += THREADS) {
        double off = static_cast<double>(row[i]) - mean;
        part += off * off;
    }
    double variance = block_sum<THREADS>(part, scratch) / static_cast<double>(width);
    double scale = 1.0 / sqrt(variance + static_cast<double>(epsilon));
    for (u32 i = threadIdx.x; i < width; i += THREADS) {
        float value = static_cast<float>((static_cast<double>(row[i]) - mean) * scale) * weight[i];
        to[i] = bias ? value + bias[i] : value;
    }
}

// Divided by the root of the mean square. Grid: rows.
extern "C" __global__ void __launch_bounds__(THREADS) norm_rms_f32(
    float *out, const float *x, const float *weight, const float *bias, u32 width, float epsilon) {
    norm(out, x, weight, bias, width, epsilon, false);
}

// The mean taken away, divided by the standard deviation.
extern "C" __global__ void __launch_bounds__(THREADS) norm_layer_f32(
    float *out, const float *x, const float *weight, const float *bias, u32 width, float epsilon) {
    norm(out, x, weight, bias, width, epsilon, true);
}
