// Copies parts of rows, and some rows of many.
#include "number.cuh"

// out[r, :] = x[r, start .. start + width]. Grid: (elements of a row, rows).
extern "C" __global__ void slice_f32(float *out, const float *x, u32 start, u32 width, u32 from) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= width) return;
    u64 row = blockIdx.y;
    out[row * width + i] = x[row * from + start + i];
}

// out[r, :] = x[wanted[r], :]. Grid: (elements of a row, rows wanted).
extern "C" __global__ void wanted_f32(float *out, const float *x, const u32 *wanted, u32 width) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= width) return;
    u64 row = blockIdx.y;
    out[row * width + i] = x[static_cast<u64>(wanted[row]) * width + i];
}

// to[i] = from[i] for a few words, at up to three places. Grid: (places).
extern "C" __global__ void bring_u32(u32 *to_a, const u32 *from_a, u32 words_a, u32 *to_b,
                                     const u32 *from_b, u32 words_b, u32 *to_c, const u32 *from_c,
                                     u32 words_c) {
    bool a = blockIdx.x == 0, b = blockIdx.x == 1;
    u32 *to = a ? to_a : b ? to_b : to_c;
    u32 words = a ? words_a : b ? words_b : words_c;
    const u32 *from = a ? from_a : b ? from_b : from_c;
    for (u32 i = threadIdx.x; i < words; i += blockDim.x) to[i] = from[i];
}
