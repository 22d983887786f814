// Norms over one row, of a sum where there is something to add first.
#include "norm.cuh"
#include "round.cuh"

// Blocks that a multiprocessor shall hold at once. Left to itself the compiler asks for more where
// a block has eight warps, and spills registers for them.
constexpr u32 BLOCKS = 4;

// Grid: rows. x[r] = x[r] + more[r], if there is any; out[r] is it, normalised; and the same in
// f16, if somebody wants that (see round.cuh).
__device__ __forceinline__ void norm(float *out, float *x, const float *more, const float *weight,
                                     const float *bias, u32 width, float epsilon, u16 *halves,
                                     float *undo, u32 stride, bool centred) {
    __shared__ double scratch[2 * WARPS];
    const u64 at = static_cast<u64>(blockIdx.x);
    float *row = x + at * width, *to = out + at * width;
    if (more) {
        more += at * width;
        for (u32 k = threadIdx.x; k < width; k += THREADS) row[k] = row[k] + more[k];
        __syncthreads();
    }
    auto each = [&](auto &&add) {
        for (u32 k = 4 * threadIdx.x; k < width; k += 4 * THREADS) {
            float four[4];
            for (int i = 0; i < 4; i++) four[i] = k + i < width ? row[k + i] : 0.0f;
            add(four);
        }
    };
    Moments of = moments(each, width, 1.0 / width, epsilon, centred, scratch);
    float top = 0.0f;
    for (u32 k = threadIdx.x; k < width; k += THREADS) {
        float value = normalised(row[k], of, weight, bias, k);
        to[k] = value;
        top = fmaxf(top, fabsf(value));
    }
    if (halves) round_row<THREADS>(halves + at * stride, undo + at, to, width, stride, top);
}

// Divided by the root of the mean square.
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) norm_rms_f32(
    float *out, float *x, const float *more, const float *weight, const float *bias, u32 width,
    float epsilon, u16 *halves, float *undo, u32 stride) {
    norm(out, x, more, weight, bias, width, epsilon, halves, undo, stride, false);
}

// The mean taken away, divided by the standard deviation.
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) norm_layer_f32(
    float *out, float *x, const float *more, const float *weight, const float *bias, u32 width,
    float epsilon, u16 *halves, float *undo, u32 stride) {
    norm(out, x, more, weight, bias, width, epsilon, halves, undo, stride, true);
}
