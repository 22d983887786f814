// How attention of a generated row is cut: positions in tiles, tiles in up to SPLITS shares of
// equal length. All of it follows from the row's own position and window. What the shares found is
// put together where it is needed.
#pragma once
#include "line_ptx.cuh"
#include "step.cuh"

constexpr u32 SPLITS = 16;
constexpr float LOG2E = 1.4426950408889634f;

// Positions that are looked at together.
__device__ __forceinline__ u32 tile_of(u32 dim) { return dim > 128 ? 32 : 64; }

struct Split {
    // First position that is seen, first tile, tiles in all, and in each share; how many shares.
    u32 seen, first, tiles, each, count;
};

__device__ __forceinline__ Split split_of(u32 position, u32 window, u32 tile) {
    u32 past = position + 1, seen = window && past > window ? past - window : 0;
    u32 first = seen / tile, tiles = position / tile + 1 - first;
    u32 each = (tiles + SPLITS - 1) / SPLITS;
    return {seen, first, tiles, each, (tiles + each - 1) / each};
}

// What the shares of each row and head found: the largest score, the sum of the softmax relative
// to it, and from the fifth number on the values' sum; [row, head, share].
struct Attended {
    const float *partial;
    const Row *rows;
    const float *sinks;
    u32 heads, dim, window;
};

__device__ __forceinline__ u32 partial_width(u32 dim) { return dim + 4; }

// Shares of a row; known before they are there.
__device__ __forceinline__ u32 shares_of(const Attended &from, u32 row) {
    return split_of(from.rows[row].position, from.window, tile_of(from.dim)).count;
}

// Elements k .. k + 4 of a row of all heads; heads are of a multiple of four elements.
__device__ __forceinline__ void attended4(const Attended &from, u32 row, u32 shares, u32 k,
                                          float (&x)[4]) {
    u32 head = k / from.dim, width = partial_width(from.dim);
    const float *at = from.partial + (row * from.heads + head) * SPLITS * static_cast<u64>(width);
    // A sink takes its share and gives nothing: it is counted once, before all positions.
    float top = from.sinks ? from.sinks[head] : __uint_as_float(0xFF800000);
    float sum = from.sinks ? 1.0f : 0.0f;
    float4 all = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll 2
    for (u32 s = 0; s < shares; s++, at += width) {
        float4 found = fresh4(at), values = fresh4(at + 4 + k % from.dim);
        float next = fmaxf(top, found.x);
        float before = exp2f((top - next) * LOG2E), now = exp2f((found.x - next) * LOG2E);
        sum = fmaf(sum, before, found.y * now);
        all.x = fmaf(all.x, before, values.x * now);
        all.y = fmaf(all.y, before, values.y * now);
        all.z = fmaf(all.z, before, values.z * now);
        all.w = fmaf(all.w, before, values.w * now);
        top = next;
    }
    x[0] = all.x / sum, x[1] = all.y / sum, x[2] = all.z / sum, x[3] = all.w / sum;
}
