// Rows of a prompt times a matrix of any block format, plus a bias: 64 rows by 64 outputs a block.
// Rows that the model generated are left to matmul.cu, whatever the company.
#include "step.cuh"
#include "tile.cuh"

// out[r, o] = weight[o, :] · x[r, :] + bias[o] for the rows of a prompt. `wanted` names the row of
// the step behind each row of `x`, if they are not all of the step's. Grid: (rows / 64,
// outputs / 64), so that blocks that run together share weights.
template <class F>
__device__ void matmul(float *out, const float *x, const u8 *weight, u64 layout,
                       const float *bias, const Row *step, const u32 *wanted, u32 width,
                       u32 outputs, u32 rows) {
    __shared__ tile::Shared shared;
    u32 row = blockIdx.x * tile::ROWS, output = blockIdx.y * tile::OUTPUTS;
    tile::Lines<F> lines;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        u32 r = row + threadIdx.x / 4 + 32 * i, o = output + threadIdx.x / 4 + 32 * i;
        lines.rows[i] = r < rows ? x + static_cast<u64>(r) * width : nullptr;
        lines.there[i] = o < outputs;
        lines.weights[i] = Line<F>(weight, o < outputs ? o : 0, width, layout);
    }
    tile::product<F>(shared, lines, width, [&](int m, int n, float sum) {
        u32 r = row + m, o = output + n;
        if (r >= rows || o >= outputs || !step[wanted ? wanted[r] : r].role) return;
        out[static_cast<u64>(r) * outputs + o] = bias ? sum + bias[o] : sum;
    });
}

#define MATMUL(FORMAT, NAME)                                                                     \
    extern "C" __global__ void __launch_bounds__(128) matmul_prompt_f32_##NAME(                  \
        float *out, const float *x, const u8 *weight, u64 layout, const float *bias,             \
        const Row *step, const u32 *wanted, u32 width, u32 outputs, u32 rows) {                  \
        matmul<FORMAT>(out, x, weight, layout, bias, step, wanted, width, outputs, rows);        \
    }
EACH_FORMAT(MATMUL)
EACH_PACKED(MATMUL)
