// Generated rows times a matrix of any block format, plus a bias. A warp makes one output of up to
// eight rows, so that weights are decoded once for all of them. Rows of a prompt are left to
// matmul_prompt.cu, whatever the company.
#include "dot.cuh"
#include "step.cuh"

constexpr int ROWS = 8;

// out[r, o] = weight[o, :] · x[r, :] + bias[o] for generated rows. `wanted` names the row of the
// step behind each row of `x`, if they are not all of the step's. Grid: (outputs / warps,
// rows / ROWS).
template <class F>
__device__ void matmul(float *out, const float *x, const u8 *weight, u64 layout,
                       const float *bias, const Row *step, const u32 *wanted, u32 width,
                       u32 outputs, u32 rows) {
    u32 output = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    if (output >= outputs) return;
    u64 first = static_cast<u64>(blockIdx.y) * ROWS;
    u32 count = min(static_cast<u32>(rows - first), static_cast<u32>(ROWS));
    float sums[ROWS];
    Line<F> line(weight, output, width, layout);
    dot_rows<F, ROWS>(line, x + first * width, width, count, sums);
    if (threadIdx.x % 32 != 0) return;
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        if (r >= count || step[wanted ? wanted[first + r] : first + r].role) continue;
        out[(first + r) * outputs + output] = bias ? sums[r] + bias[output] : sums[r];
    }
}

#define MATMUL(FORMAT, NAME)                                                                     \
    extern "C" __global__ void __launch_bounds__(128) matmul_f32_##NAME(                         \
        float *out, const float *x, const u8 *weight, u64 layout, const float *bias,             \
        const Row *step, const u32 *wanted, u32 width, u32 outputs, u32 rows) {                  \
        matmul<FORMAT>(out, x, weight, layout, bias, step, wanted, width, outputs, rows);        \
    }
EACH_FORMAT(MATMUL)
EACH_PACKED(MATMUL)
