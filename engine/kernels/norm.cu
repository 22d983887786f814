// Norms over one row.
#include "norm.cuh"

constexpr int THREADS = 256;

__device__ void norm(float *out, const float *x, const float *weight, const float *bias, u32 width,
                     float epsilon, bool centred) {
    __shared__ double scratch[THREADS / 32];
    const float *row = x + static_cast<u64>(blockIdx.x) * width;
    float *to = out + static_cast<u64>(blockIdx.x) * width;
    auto each = [&](auto &&add) {
        for (u32 k = 4 * threadIdx.x; k < width; k += 4 * THREADS) {
            float four[4];
            for (int i = 0; i < 4; i++) four[i] = k + i < width ? row[k + i] : 0.0f;
            add(four);
        }
    };
    Moments of = moments<THREADS>(each, width, epsilon, centred, scratch);
    for (u32 k = threadIdx.x; k < width; k += THREADS) {
        to[k] = normalised(row[k], of, weight, bias, k);
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
