// A row of activations as the products of generated rows read it, in shared memory: 128 elements at
// a time divided by a power of two and split into what is above and below eleven bits, two f16 that
// together are as exact as the f32; beside them stand the sums of each 16 elements. Also the ways a
// row comes about: as it is, behind a norm, or out of shares of attention.
#pragma once
#include "line_attend.cuh"
#include "line_weight.cuh"
#include "norm.cuh"

// What precedes a product. The host knows them by these numbers.
enum LineSource { LINE_ROW, LINE_RMS, LINE_LAYER, LINE_ATTENDED };

// A power of two that brings a number to between 2^14 and 2^15, where f16 ends at 2^16, and its
// inverse, 2^24 times as large. Beyond 2^117 it leaves f16, and what comes of it is no number.
struct Power {
    float factor, inverse;

    __device__ __forceinline__ explicit Power(u32 bits) {
        u32 exponent = min(max(bits >> 23, 15u), 244u);
        factor = __uint_as_float((268 - exponent) << 23);
        inverse = __uint_as_float((exponent + 10) << 23);
    }
};

// A row in shared memory: groups of sixteen elements, their sums, and what each 128 were divided
// by, in units of 2^-24. Behind the last element come zeros up to a multiple of 128.
struct LineX {
    uint2 *parts;
    float *sums, *scales;

    static __device__ __forceinline__ u32 padded(u32 width) { return (width + 127) / 128 * 128; }
    __device__ LineX(u8 *at, u32 width) {
        parts = reinterpret_cast<uint2 *>(at);
        sums = reinterpret_cast<float *>(at + 4 * padded(width));
        scales = sums + padded(width) / 16;
    }
    // A multiple of sixteen.
    static __device__ __forceinline__ u32 bytes(u32 width) {
        return 4 * padded(width) + padded(width) / 4 + (padded(width) / 32 + 15) / 16 * 16;
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

    // Splits a warp's 128 elements, four of each lane.
    __device__ __forceinline__ void split(u32 quad, const float (&x)[4]) const {
        float pair = fmaxf(fabsf(x[0]), fabsf(x[1]));
        float top = fmaxf(pair, fmaxf(fabsf(x[2]), fabsf(x[3])));
        Power power(__reduce_max_sync(0xffffffffu, __float_as_uint(top)));
        float sum = (x[0] + x[1]) + (x[2] + x[3]);
#pragma unroll
        for (int step = 1; step < 4; step *= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
        u32 high[4], low[4];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float scaled = x[i] * power.factor;
            high[i] = f16_of_f32(scaled);
            low[i] = f16_of_f32(scaled - f32_of_f16(static_cast<u16>(high[i])));
        }
        // The first and third element of four, then the second and fourth, as `Quad` has them.
        uint2 *to = at(quad);
        to[0] = make_uint2(high[0] | high[2] << 16, high[1] | high[3] << 16);
        to[4] = make_uint2(low[0] | low[2] << 16, low[1] | low[3] << 16);
        if (quad % 4 == 0) sums[quad / 4] = sum;
        if (quad % 32 == 0) scales[quad / 32] = power.inverse;
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

// What is known of a source before the kernels ahead have ended: how many shares of attention a row
// has, and one by the width.
struct Ahead {
    u32 shares;
    double share;

    __device__ __forceinline__ Ahead(const Source &source, u32 row, u32 width)
        : shares(source.kind == LINE_ATTENDED ? shares_of(source.attended, row) : 0),
          share(source.normed() ? 1.0 / width : 0.0) {
        // A norm's weights: a token's other weights have driven them out of the cache.
        u32 line = 32 * threadIdx.x;
        if (source.normed() && line < width) l2_prefetch(source.weight + line);
    }
};

// Brings row `row` of the source into shared memory; `width` is a multiple of 32. All threads of
// the block; the barrier behind it is the caller's, and so is one between two rows. A thread comes
// back to its own elements only. Loops stay loops: this runs once a kernel, and code that is not
// there yet takes longest.
__device__ __forceinline__ void line_put(LineX to, const Source &source, u32 row, Ahead ahead,
                                         u32 width, double *scratch) {
    u32 quads = LineX::padded(width) / 4;
    if (source.kind == LINE_ATTENDED) {
#pragma unroll 1
        for (u32 quad = threadIdx.x; quad < quads; quad += THREADS) {
            float x[4] = {};
            if (4 * quad < width) attended4(source.attended, row, ahead.shares, 4 * quad, x);
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
        bool centred = source.kind == LINE_LAYER;
        of = moments(each, width, ahead.share, source.epsilon, centred, scratch);
    }
    // Whole warps go through, because a warp shares what it divides by.
#pragma unroll 1
    for (u32 quad = threadIdx.x; quad < quads; quad += THREADS) {
        float x[4];
        to.kept(quad, x);
        if (source.normed()) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                u32 k = 4 * quad + i;
                x[i] = k < width ? normalised(x[i], of, source.weight, source.bias, k) : 0.0f;
            }
        }
        to.split(quad, x);
    }
}
