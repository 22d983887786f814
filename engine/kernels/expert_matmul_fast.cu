// Rows of a prompt times the matrices of the experts that were picked for them, in 16 bits: a block
// multiplies up to TOKENS rows of one expert; see fast.cuh. Generated rows are left to
// expert_matmul.cu.
#include "fast.cuh"

struct Tile {
    u32 expert, first, count, unused;
};

// out[s, o] = weight[e, o, :] · x[s / share, :] + bias[e, o] for the slots s of a tile, all of
// expert e, whose rows s / used are of a prompt. `bytes`: of an expert's matrix, of which it holds
// the outputs from `first` on. Grid: (tiles, outputs / OUTPUTS).
template <class Source>
__device__ void expert_matmul(float *out, fast::Rows x, fast::Matrix matrix, u64 bytes, float undo,
                              const float *bias, const Row *step, const u32 *wanted,
                              const u32 *order, const Tile *tiles, u32 first, u32 all_outputs,
                              u32 share, u32 used) {
    extern __shared__ __align__(1024) u8 stages[];
    __shared__ float factors[fast::TOKENS];
    __shared__ u32 slots[fast::TOKENS];
    const Tile own = tiles[blockIdx.x];
    if (own.count == 0) return;
    matrix.at += own.expert * bytes;
    fast::Lines lines;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        u32 m = threadIdx.x / 8 + 32 * i;
        lines.there[i] = m < own.count;
        u32 slot = order[own.first + (m < own.count ? m : 0)];
        lines.from[i] = x.at + static_cast<u64>(slot / share) * x.stride;
    }
    const u32 NONE = 0xffffffff;
    if (threadIdx.x < own.count) {
        u32 slot = order[own.first + threadIdx.x], row = slot / used;
        bool prompt = step[wanted ? wanted[row] : row].role;
        slots[threadIdx.x] = prompt ? slot : NONE;
        factors[threadIdx.x] = x.undo[slot / share] * undo;
    }
    const u64 output = blockIdx.y * fast::OUTPUTS + threadIdx.x / 32 * 32;
    fast::Sums sums = {};
    fast::product<Source>(stages, matrix, lines, own.count, output, output < matrix.outputs, sums);
    if (bias) bias += static_cast<u64>(own.expert) * all_outputs;
    fast::each(sums, own.count, [&](u32 o, u32 m, float sum) {
        if (output + o >= matrix.outputs || slots[m] == NONE) return;
        u64 at = first + output + o;
        sum *= factors[m];
        out[static_cast<u64>(slots[m]) * all_outputs + at] = bias ? sum + bias[at] : sum;
    });
}

#define EXPERT_MATMUL(SOURCE, NAME)                                                              \
    extern "C" __global__ void __launch_bounds__(256) expert_matmul_fast_##NAME(                 \
        float *out, const u16 *x, const float *x_undo, u32 stride, const u8 *weight, u64 layout, \
        u64 bytes, int unit, float undo, const float *bias, const Row *step, const u32 *wanted,  \
        const u32 *order, const Tile *tiles, u32 width, u32 first, u32 outputs, u32 all_outputs, \
        u32 share, u32 used) {                                                                   \
        expert_matmul<fast::SOURCE>(out, {x, x_undo, stride},                                    \
                                    {weight, layout, unit, width, outputs}, bytes, undo, bias,   \
                                    step, wanted, order, tiles, first, all_outputs, share,       \
                                    used);                                                       \
    }
EXPERT_MATMUL(Halves, halves)
EXPERT_MATMUL(Pairs, mxfp4_pairs)
EXPERT_MATMUL(Units, mxfp4_units)
