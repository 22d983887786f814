// Turns pairs of elements by angles whose cosines and sines the host computed in f64: no device
// function comes near a position of 131,071 with an f32 angle.
#include "number.cuh"

template <bool NEOX>
__device__ void rope(float *x, const float *cosines, const float *sines, u32 heads, u32 head_dim,
                     u32 pairs, u64 count) {
    u64 index = static_cast<u64>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (index >= count) return;
    u32 pair = index % pairs;
    u64 head = index / pairs, row = head / heads;
    float *at = x + head * head_dim;
    u32 a = NEOX ? pair : 2 * pair, b = NEOX ? pair + pairs : 2 * pair + 1;
    float c = cosines[row * pairs + pair], s = sines[row * pairs + pair];
    float first = at[a], second = at[b];
    at[a] = first * c - second * s;
    at[b] = first * s + second * c;
}

// Elements i and i + pairs of each head turn together. One thread a pair, `count` in all.
extern "C" __global__ void rope_f32_neox(float *x, const float *cosines, const float *sines,
                                         u32 heads, u32 head_dim, u32 pairs, u64 count) {
    rope<true>(x, cosines, sines, heads, head_dim, pairs, count);
}

// Elements 2i and 2i + 1.
extern "C" __global__ void rope_f32_normal(float *x, const float *cosines, const float *sines,
                                           u32 heads, u32 head_dim, u32 pairs, u64 count) {
    rope<false>(x, cosines, sines, heads, head_dim, pairs, count);
}
