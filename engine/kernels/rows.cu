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

// to[i] = from[i] for a few words. One block.
extern "C" __global__ void bring_u32(u32 *to, const u32 *from, u32 words) {
    for (u32 i = threadIdx.x; i < words; i += blockDim.x) to[i] = from[i];
}
