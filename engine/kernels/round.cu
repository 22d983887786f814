// Rows of f32 as f16, each times a power of two of its own; see round.cuh.
#include "round.cuh"

constexpr int THREADS = 256;

// Grid: rows.
extern "C" __global__ void __launch_bounds__(THREADS) round_f32(u16 *out, float *undo,
                                                                const float *x, u32 width,
                                                                u32 stride) {
    const u64 row = blockIdx.x;
    x += row * width;
    float top = 0.0f;
    for (u32 i = threadIdx.x; i < width; i += THREADS) top = fmaxf(top, fabsf(x[i]));
    round_row<THREADS>(out + row * stride, undo + row, x, width, stride, top);
}
