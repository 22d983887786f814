// Rows of f32 times a matrix of any block format, plus a bias. A warp makes one output of up to
// eight rows, so that weights are decoded once for all of them.
#include "dot.cuh"

constexpr int ROWS = 8;

// out[r, o] = weight[o, :] · x[r, :] + bias[o]. Grid: (outputs / warps, rows / ROWS).
template <class F>
__device__ void matmul(float *out, const float *x, const u8 *weight, const float *bias, u32 width,
                       u32 outputs, u32 rows) {
    u32 output = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    if (output >= outputs) return;
    u64 first = static_cast<u64>(blockIdx.y) * ROWS;
    u32 count = min(static_cast<u32>(rows - first), static_cast<u32>(ROWS));
    float sums[ROWS];
    dot_rows<F, ROWS>(weight + output * row_bytes<F>(width), x + first * width, width, count, sums);
    if (threadIdx.x % 32 != 0) return;
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        float sum = bias ? sums[r] + bias[output] : sums[r];
        if (r < count) out[(first + r) * outputs + output] = sum;
    }
}

#define MATMUL(FORMAT, NAME)                                                                     \
    extern "C" __global__ void __launch_bounds__(128) matmul_f32_##NAME(                         \
        float *out, const float *x, const u8 *weight, const float *bias, u32 width, u32 outputs, \
        u32 rows) {                                                                              \
        matmul<FORMAT>(out, x, weight, bias, width, outputs, rows);                              \
    }
EACH_FORMAT(MATMUL)
