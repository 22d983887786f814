// Generated rows times the matrices of the experts that were picked for them, in any block format.
// A warp makes one output of one (row, expert). Rows of a prompt are left to
// expert_matmul_prompt.cu.
#include "dot.cuh"
#include "step.cuh"

// out[s, o] = weight[ids[s], o, :] · x[s / share, :] + bias[ids[s], o]; `share` is how many slots
// in a row read the same row, `used` how many belong to one. Grid: (outputs / warps, slots).
template <class F>
__device__ void expert_matmul(float *out, const float *x, const u8 *weight, u64 layout,
                              const float *bias, const Row *step, const u32 *wanted,
                              const u32 *ids, u32 width, u32 outputs, u32 share, u32 used) {
    u32 output = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    if (output >= outputs) return;
    u64 slot = blockIdx.y, owner = slot / used;
    if (step[wanted ? wanted[owner] : owner].role) return;
    u64 row = static_cast<u64>(ids[slot]) * outputs + output;
    float sum;
    Line<F> line(weight, row, width, layout);
    dot_rows<F, 1>(line, x + slot / share * width, width, 1, &sum);
    if (threadIdx.x % 32 != 0) return;
    out[slot * outputs + output] = bias ? sum + bias[row] : sum;
}

#define EXPERT_MATMUL(FORMAT, NAME)                                                              \
    extern "C" __global__ void __launch_bounds__(128) expert_matmul_f32_##NAME(                  \
        float *out, const float *x, const u8 *weight, u64 layout, const float *bias,             \
        const Row *step, const u32 *wanted, const u32 *ids, u32 width, u32 outputs, u32 share,   \
        u32 used) {                                                                              \
        expert_matmul<FORMAT>(out, x, weight, layout, bias, step, wanted, ids, width, outputs,   \
                              share, used);                                                      \
    }
EACH_FORMAT(EXPERT_MATMUL)
EACH_PACKED(EXPERT_MATMUL)
