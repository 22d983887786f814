// Part of a matrix of any block format as fast.cuh wants it: f16 times a power of two, in the order
// of its registers: [16 rows][64 of k][eight of k, half of them][lane] 16 bytes, and zeros past the
// end.
#include "weight.cuh"

__device__ __forceinline__ u32 both(float first, float second) {
    return f16_of_f32(first) | static_cast<u32>(f16_of_f32(second)) << 16;
}

// Of each of `experts` matrices of `all_outputs` rows: those from `first` on, `outputs` of them,
// times `unit`. Grid: any; a thread makes eight numbers each of two rows.
template <class F>
__device__ void spread(uint4 *out, const u8 *weight, u64 layout, float unit, u32 width, u32 first,
                       u32 outputs, u32 all_outputs, u32 experts) {
    const u64 slabs = (width + 63) / 64, tiles = (outputs + 15) / 16;
    const u64 units = experts * tiles * slabs * 64;
    for (u64 u = blockIdx.x * static_cast<u64>(blockDim.x) + threadIdx.x; u < units;
         u += static_cast<u64>(gridDim.x) * blockDim.x) {
        const u32 lane = u % 32, j = u / 32 % 2;
        const u64 slab = u / 64 % slabs, tile = u / 64 / slabs % tiles;
        const u64 expert = u / 64 / slabs / tiles;
        const u32 k = slab * 64 + j * 32 + lane % 4 * 8;
        float w[2][8] = {};
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const u64 row = tile * 16 + lane / 4 + 8 * half;
            if (row >= outputs || k >= width) continue;
            const u64 from = expert * all_outputs + first + row;
            Line<F>(weight, from, width, layout).eight(k, width, w[half]);
        }
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const float *low = w[0] + 4 * i, *high = w[1] + 4 * i;
            out[u / 64 * 128 + (2 * j + i) * 32 + lane] = {
                both(low[0] * unit, low[1] * unit), both(high[0] * unit, high[1] * unit),
                both(low[2] * unit, low[3] * unit), both(high[2] * unit, high[3] * unit)};
        }
    }
}

#define SPREAD(FORMAT, NAME)                                                                     \
    extern "C" __global__ void spread_##NAME(uint4 *out, const u8 *weight, u64 layout, float unit, \
                                             u32 width, u32 first, u32 outputs, u32 all_outputs, \
                                             u32 experts) {                                      \
        spread<FORMAT>(out, weight, layout, unit, width, first, outputs, all_outputs, experts);  \
    }
EACH_FORMAT(SPREAD)
