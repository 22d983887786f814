// Rows of a prompt times the matrices of the experts that were picked for them, in any block
// format: a block multiplies up to 64 rows of one expert. Generated rows are left to
// expert_matmul.cu.
#include "step.cuh"
#include "tile.cuh"

struct Tile {
    u32 expert, first, count, unused;
};

// out[s, o] = weight[e, o, :] · x[s / share, :] + bias[e, o] for the slots s of a tile, all of
// expert e, whose rows s / used are of a prompt. Grid: (tiles, outputs / 64).
template <class F>
__device__ void expert_matmul(float *out, const float *x, const u8 *weight, u64 layout,
                              const float *bias, const Row *step, const u32 *wanted,
                              const u32 *order, const Tile *tiles, u32 width, u32 outputs,
                              u32 share, u32 used) {
    __shared__ tile::Shared shared;
    Tile own = tiles[blockIdx.x];
    if (own.count == 0) return;
    u32 output = blockIdx.y * tile::OUTPUTS;
    u64 matrix = static_cast<u64>(own.expert) * outputs;
    tile::Lines<F> lines;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        u32 m = threadIdx.x / 4 + 32 * i, o = output + m;
        lines.rows[i] = nullptr;
        if (m < own.count) {
            lines.rows[i] = x + static_cast<u64>(order[own.first + m] / share) * width;
        }
        lines.there[i] = o < outputs;
        lines.weights[i] = Line<F>(weight, matrix + (o < outputs ? o : 0), width, layout);
    }
    tile::product<F>(shared, lines, width, [&](int m, int n, float sum) {
        u32 o = output + n;
        if (m >= own.count || o >= outputs) return;
        u32 slot = order[own.first + m], row = slot / used;
        if (!step[wanted ? wanted[row] : row].role) return;
        out[static_cast<u64>(slot) * outputs + o] = bias ? sum + bias[matrix + o] : sum;
    });
}

#define EXPERT_MATMUL(FORMAT, NAME)                                                              \
    extern "C" __global__ void __launch_bounds__(128) expert_matmul_prompt_f32_##NAME(           \
        float *out, const float *x, const u8 *weight, u64 layout, const float *bias,             \
        const Row *step, const u32 *wanted, const u32 *order, const Tile *tiles, u32 width,      \
        u32 outputs, u32 share, u32 used) {                                                      \
        expert_matmul<FORMAT>(out, x, weight, layout, bias, step, wanted, order, tiles, width,   \
                              outputs, share, used);                                             \
    }
EACH_FORMAT(EXPERT_MATMUL)
EACH_PACKED(EXPERT_MATMUL)
