// Looks rows up in a table of any block format: tokens, and learned positions. One thread decodes
// eight elements.
#include "step.cuh"
#include "weight.cuh"

// out[r, :] = table[token of r, :]. Grid: (eights of a row, rows).
template <class F>
__device__ void embed(float *out, const u8 *table, u64 layout, const Row *rows, u32 width) {
    u32 k = 8 * (blockIdx.x * blockDim.x + threadIdx.x);
    if (k >= width) return;
    float w[8];
    Line<F>(table, rows[blockIdx.y].token, width, layout).eight(k, width, w);
    float *to = out + static_cast<u64>(blockIdx.y) * width + k;
    for (int i = 0; i < 8 && k + i < width; i++) to[i] = w[i];
}

// rows[r, :] = rows[r, :] + table[position of r, :].
template <class F>
__device__ void add_positions(float *out, const u8 *table, u64 layout, const Row *rows,
                              u32 width) {
    u32 k = 8 * (blockIdx.x * blockDim.x + threadIdx.x);
    if (k >= width) return;
    float w[8];
    Line<F>(table, rows[blockIdx.y].position, width, layout).eight(k, width, w);
    float *to = out + static_cast<u64>(blockIdx.y) * width + k;
    for (int i = 0; i < 8 && k + i < width; i++) to[i] = to[i] + w[i];
}

#define BOTH(FORMAT, NAME)                                                                       \
    extern "C" __global__ void embed_##NAME(float *out, const u8 *table, u64 layout,             \
                                            const Row *rows, u32 width) {                        \
        embed<FORMAT>(out, table, layout, rows, width);                                          \
    }                                                                                            \
    extern "C" __global__ void add_positions_##NAME(float *out, const u8 *table, u64 layout,     \
                                                    const Row *rows, u32 width) {                \
        add_positions<FORMAT>(out, table, layout, rows, width);                                  \
    }
EACH_FORMAT(BOTH)
