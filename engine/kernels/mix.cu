// The sum over each row's experts, each times its share, in order of expert id: which order they
// were picked in does not show.
#include "number.cuh"

// out[r, i] = Σ shares[r, k] · x[r · used + k, i]. Grid: (elements of a row, rows).
extern "C" __global__ void mix_f32(float *out, const float *x, const u32 *ids, const float *shares,
                                   u32 used, u32 width) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= width) return;
    u64 row = blockIdx.y;
    ids += row * used;
    shares += row * used;
    x += row * used * width;
    float sum = 0.0f;
    u64 least = 0;
    for (u32 n = 0; n < used; n++) {
        // The n-th smallest id: no two experts of a row are the same.
        u32 next = 0;
        u64 smallest = ~0ull;
        for (u32 k = 0; k < used; k++) {
            if (ids[k] >= least && ids[k] < smallest) {
                smallest = ids[k];
                next = k;
            }
        }
        least = smallest + 1;
        sum = sum + shares[next] * x[static_cast<u64>(next) * width + i];
    }
    out[row * width + i] = sum;
}
