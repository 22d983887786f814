// Rows of a prompt times a matrix in 16 bits, plus a bias: see fast.cuh. Rows that the model
// generated are left to matmul.cu, whatever the company.
#include "fast.cuh"

// out[r, o] = weight[o, :] · x[r, :] + bias[o] for the rows of a prompt and the outputs from
// `first` on that the matrix holds. Grid: (rows / TOKENS, outputs / OUTPUTS).
template <class Source>
__device__ void matmul(float *out, fast::Rows x, const fast::Matrix &matrix, float undo,
                       const float *bias, const Row *step, const u32 *wanted, u32 first,
                       u32 all_outputs, u32 rows) {
    extern __shared__ __align__(1024) u8 stages[];
    __shared__ float factors[fast::TOKENS];
    const u32 row = blockIdx.x * fast::TOKENS, count = min(rows - row, u32(fast::TOKENS));
    fast::Lines lines;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        u32 m = threadIdx.x / 8 + 32 * i;
        lines.there[i] = m < count;
        lines.from[i] = x.at + static_cast<u64>(m < count ? row + m : row) * x.stride;
    }
    // Nothing is kept of a row that is none of a prompt: its factor says so.
    const float NONE = __uint_as_float(0xFF800000);
    if (threadIdx.x < count) {
        u32 r = row + threadIdx.x;
        bool own = step[wanted ? wanted[r] : r].role;
        factors[threadIdx.x] = own ? x.undo[r] * undo : NONE;
    }
    const u64 output = blockIdx.y * fast::OUTPUTS + threadIdx.x / 32 * 32;
    fast::Sums sums = {};
    fast::product<Source>(stages, matrix, lines, count, output, output < matrix.outputs, sums);
    fast::each(sums, count, [&](u32 o, u32 m, float sum) {
        if (output + o >= matrix.outputs || factors[m] == NONE) return;
        u64 at = first + Source::output(matrix, output + o);
        sum *= factors[m];
        out[static_cast<u64>(row + m) * all_outputs + at] = bias ? sum + bias[at] : sum;
    });
}

#define MATMUL(SOURCE, NAME)                                                                     \
    extern "C" __global__ void __launch_bounds__(256) matmul_fast_##NAME(                        \
        float *out, const u16 *x, const float *x_undo, u32 stride, const u8 *weight, u64 layout, \
        int unit, float undo, const float *bias, const Row *step, const u32 *wanted, u32 width,  \
        u32 first, u32 outputs, u32 all_outputs, u32 rows) {                                     \
        matmul<fast::SOURCE>(out, {x, x_undo, stride}, {weight, layout, unit, width, outputs},   \
                             undo, bias, step, wanted, first, all_outputs, rows);                \
    }
MATMUL(Halves, halves)
MATMUL(Items, q8_0_items)
