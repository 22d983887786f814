// A row of activations as the products of generated rows read it, in shared memory: divided by one
// power of two and split into what is above and below eleven bits, two f16 that together are as
// exact as the f32; beside them stand the sums of each 32 elements. Also the ways a row comes
// about: as it is, behind a norm, or out of shares of attention.
#pragma once
#include "line_attend.cuh"
#include "line_weight.cuh"
#include "norm.cuh"

// What precedes a product. The host knows them by these numbers.
enum LineSource { LINE_ROW, LINE_RMS, LINE_LAYER, LINE_ATTENDED };

// A row in shared memory: groups of sixteen elements, sums, and what it was divided by. Behind the
// last element come zeros up to a multiple of 64.
struct LineX {
    uint2 *parts;
    float *sums, *scale;

    static __device__ __forceinline__ u32 padded(u32 width) { return (width + 63) / 64 * 64; }
    __device__ LineX(u8 *at, u32 width) {
        parts = reinterpret_cast<uint2 *>(at);
        sums = reinterpret_cast<float *>(at + 4 * padded(width));
        scale = sums + padded(width) / 32;
    }
    // A multiple of sixteen.
    static __device__ __forceinline__ u32 bytes(u32 width) {
        return 4 * padded(width) + padded(width) / 32 * 4 / 16 * 16 + 16;
    }

    // Where elements 4 · quad .. +4 stand; the upper parts' place first.
    __device__ __forceinline__ uint2 *at(u32 quad) const { return parts + quad / 4 * 8 + quad % 4; }

    // The elements as they are, in the place of their parts.
    __device__ __forceinline__ void keep(u32 quad, const float (&x)[4]) const {
        uint2 *to = at(quad);
        to[0] = make_uint2(__float_as_uint(x[0]), __float_as_uint(x[1]));
        to[4] = make_uint2(__float_as_uint(x[2]), __float_as_uint(x[3]));
    }
    __device__ __forceinline__ void kept(u32 quad, float (&x)[4]) const {
        const uint2 *from = at(quad);
        x[0] = __uint_as_float(from[0].x), x[1] = __uint_as_float(from[0].y);
        x[2] = __uint_as_float(from[4].x), x[3] = __uint_as_float(from[4].y);
    }

    // Splits what is kept, times a power of two. Eight lanes in a row hold 32 elements; all of a
    // warp must come here.
    __device__ __forceinline__ void split(u32 quad, float factor, bool inside) const {
        float x[4] = {};
        if (inside) kept(quad, x);
        float sum = (x[0] + x[1]) + (x[2] + x[3]);
#pragma unroll
        for (int step = 1; step < 8; step *= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
        if (!inside) return;
        u32 high[4], low[4];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float scaled = x[i] * factor;
            high[i] = f16_of_f32(scaled);
            low[i] = f16_of_f32(scaled - f32_of_f16(static_cast<u16>(high[i])));
        }
        // The first and third element of four, then the second and fourth, as `Quad` has them.
        uint2 *to = at(quad);
        to[0] = make_uint2(high[0] | high[2] << 16, high[1] | high[3] << 16);
        to[4] = make_uint2(low[0] | low[2] << 16, low[1] | low[3] << 16);
        if (quad % 8 == 0) sums[quad / 8] = sum;
    }
};

// Where a row comes from.
struct Source {
    u32 kind;
    const float *x, *weight, *bias;
    float epsilon;
    Attended attended;

    __device__ __forceinline__ bool normed() const {
        return kind == LINE_RMS || kind == LINE_LAYER;
    }
};

// A power of two that brings the largest to between 2^14 and 2^15, where f16 ends at 2^16, and its
// inverse.
struct Power {
    float factor, inverse;

    __device__ explicit Power(float top) {
        u32 exponent = min(max(__float_as_uint(top) >> 23, 15u), 253u);
        factor = __uint_as_float((268 - exponent) << 23);
        inverse = __uint_as_float((exponent - 14) << 23);
    }
};

__device__ __forceinline__ float top_of(float top, const float (&x)[4]) {
    float pair = fmaxf(fabsf(x[0]), fabsf(x[1]));
    return fmaxf(top, fmaxf(pair, fmaxf(fabsf(x[2]), fabsf(x[3]))));
}

// The largest of a block, in every thread.
__device__ __forceinline__ float top_of_block(float top, double *scratch) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2) {
        top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, step));
    }
    __syncthreads();
    float *tops = reinterpret_cast<float *>(scratch);
    if (threadIdx.x % 32 == 0) tops[threadIdx.x / 32] = top;
    __syncthreads();
#pragma unroll
    for (int warp = 0; warp < WARPS; warp++) top = fmaxf(top, tops[warp]);
    return top;
}

// Brings row `row` of the source into shared memory; `width` is a multiple of 32. All threads of
// the block; the barrier behind it is the caller's. A thread comes back to its own elements only.
// Loops stay loops: this runs once a kernel, and code that is not there yet takes longest.
__device__ __forceinline__ void line_put(LineX to, const Source &source, u32 row, u32 width,
                                         double *scratch) {
    u32 quads = LineX::padded(width) / 4;
    if (source.kind == LINE_ATTENDED) {
#pragma unroll 1
        for (u32 quad = threadIdx.x; quad < quads; quad += THREADS) {
            float x[4] = {};
            if (4 * quad < width) attended4(source.attended, row, 4 * quad, x);
            to.keep(quad, x);
        }
    } else {
        const float *from = source.x + static_cast<u64>(row) * width;
#pragma unroll 4
        for (u32 quad = threadIdx.x; quad < quads; quad += THREADS) {
            float4 four = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
            if (4 * quad < width) four = fresh4(from + 4 * quad);
            float x[4] = {four.x, four.y, four.z, four.w};
            to.keep(quad, x);
        }
    }
    Moments of = {0.0, 1.0};
    if (source.normed()) {
        auto each = [&](auto &&add) {
#pragma unroll 1
            for (u32 quad = threadIdx.x; 4 * quad < width; quad += THREADS) {
                float x[4];
                to.kept(quad, x);
                add(x);
            }
        };
        of = moments<THREADS>(each, width, source.epsilon, source.kind == LINE_LAYER, scratch);
    }
    float top = 0.0f;
#pragma unroll 1
    for (u32 quad = threadIdx.x; 4 * quad < width; quad += THREADS) {
        float x[4];
        to.kept(quad, x);
        if (source.normed()) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                x[i] = normalised(x[i], of, source.weight, source.bias, 4 * quad + i);
            }
            to.keep(quad, x);
        }
        top = top_of(top, x);
    }
    Power power(top_of_block(top, scratch));
    if (threadIdx.x == 0) *to.scale = power.inverse;
    // Whole warps go through, because eight lanes share a sum.
#pragma unroll 1
    for (u32 quad = threadIdx.x; quad / 32 * 32 < quads; quad += THREADS) {
        to.split(quad, power.factor, quad < quads);
    }
}
