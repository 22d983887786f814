// The one order in which a row is multiplied with a row of weights: lane l takes the elements
// 8(l + 32i) .. +8, in order, and the lanes' sums are added in a fixed tree. It depends on the
// length alone, so a row's bits do not depend on the rows that share the decoded weights with it.
#pragma once
#include "reduce.cuh"
#include "packed.cuh"

// sums[r] = weights · x[r] for the first `count` of ROWS rows, in every lane of the warp.
template <class F, int ROWS>
__device__ __forceinline__ void dot_rows(const Line<F> &weights, const float *x, u32 width,
                                         u32 count, float *sums) {
    float lanes[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; r++) lanes[r] = 0.0f;
    for (u32 k = 8 * (threadIdx.x % 32); k < width; k += 256) {
        float w[8];
        weights.eight(k, width, w);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            if (r < count) {
                const float *from = x + static_cast<u64>(r) * width + k;
#pragma unroll
                for (int i = 0; i < 8; i++) {
                    // Past the end of a row there is nothing to read, and nothing to add.
                    if (F::LEN > 1 || k + i < width) lanes[r] = fmaf(w[i], from[i], lanes[r]);
                }
            }
        }
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) sums[r] = warp_sum(lanes[r]);
}
