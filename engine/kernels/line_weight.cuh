// Weights of generated rows, from blocks as files store them to tensor-core operands. What a block
// stores are whole numbers of at most eight bits, which f16 holds exactly; its scale is applied to
// sums. Up to ten bits stand in an f16 as they are: a subnormal number, 2^-24 of them.
#pragma once
#include "line_ptx.cuh"

constexpr int WARPS = 8, THREADS = 32 * WARPS;

// Of elements 4t .. 4t + 3 of sixteen in a row: the first and third, and the second and fourth.
struct Quad {
    u32 even, odd;
};

// A lane's part in the sums of two tiles of eight outputs: g = lane / 4 and t = lane % 4. Two
// regions of a row are multiplied at once, one by rows g of the operand and one by rows g + 8; x
// stands in the columns: regions (4), rows of the batch (2), and what is above and below eleven
// bits (1).
struct Lane {
    u32 t, warp;
    // Where this lane's column of x starts, and its region.
    const uint2 *x;
    u32 column_region;
    // Sums of 32 elements of x, of this lane's row of the batch; its region of them.
    const float *sums;
    u32 region;
    // Of each tile, in units of 2^-24 and of x's scale; and what minima take away.
    float sum[2], minus[2];

    __device__ __forceinline__ uint2 column(u32 group) const { return x[8 * group]; }
    // This lane's sum of a product: of its region, upper and lower parts of x together.
    __device__ __forceinline__ float own(const float (&c)[4]) const {
        float upper = c[0] + c[1], lower = c[2] + c[3];
        return region ? lower : upper;
    }
};

// A word at an address that is a multiple of ALIGN.
template <u32 ALIGN = 2>
__device__ __forceinline__ u32 word_at(const u8 *at) {
    u32 odd = static_cast<u32>(reinterpret_cast<u64>(at)) & (4 - ALIGN);
    const u32 *words = reinterpret_cast<const u32 *>(at - odd);
    return __funnelshift_r(words[0], words[1], 8 * odd);
}
__device__ __forceinline__ u32 aligned_word(const u8 *at) {
    return *reinterpret_cast<const u32 *>(at);
}
__device__ __forceinline__ float half_at(const u8 *at) {
    return f32_of_f16(*reinterpret_cast<const u16 *>(at));
}
// A whole number below 2^23, without the slow conversion.
__device__ __forceinline__ float small_float(u32 n) {
    return __uint_as_float(0x4B000000 | n) - 8388608.0f;
}

// Bytes as they are, and four-bit codes, at bits 0 and 16 of both words.
__device__ __forceinline__ Quad bytes_of(u32 q) { return {q & 0x00FF00FF, choose(q, 0, 0x4341)}; }
__device__ __forceinline__ Quad minus(Quad quad, u32 pair) {
    return {add_pairs(quad.even, pair), add_pairs(quad.odd, pair)};
}
constexpr float UNIT = 1.0f / 16777216.0f;

// Blocks of 32: `group` gives elements 16i + 4t .. +4 as numbers, `scale` what one of them stands
// for, and `less` what is taken away from each element.
template <bool MIN>
struct LineQ4 {
    static constexpr u32 HEAD = MIN ? 4 : 2, BYTES = HEAD + 16;
    static constexpr bool LESS = true;
    u32 q;
    __device__ __forceinline__ LineQ4(const u8 *block, u32 t) : q(word_at(block + HEAD + 4 * t)) {}
    __device__ __forceinline__ Quad group(const u8 *, int i, u32) {
        return bytes_of(q >> 4 * i & 0x0F0F0F0F);
    }
    static __device__ __forceinline__ float scale(const u8 *block) { return half_at(block); }
    static __device__ __forceinline__ float less(const u8 *block, float scale) {
        return MIN ? -half_at(block + 2) : 8.0f * scale;
    }
};
template <bool MIN>
struct LineQ5 {
    static constexpr u32 HEAD = MIN ? 4 : 2, BYTES = HEAD + 20;
    static constexpr bool LESS = true;
    u32 q, fifth;
    __device__ __forceinline__ LineQ5(const u8 *block, u32 t)
        : q(word_at(block + HEAD + 4 + 4 * t)), fifth(word_at(block + HEAD) >> 4 * t) {}
    __device__ __forceinline__ Quad group(const u8 *, int i, u32) {
        // The product puts bit b of four at bit 8b + 4.
        u32 high = (fifth >> 16 * i & 15) * 0x02040810 & 0x10101010;
        return bytes_of((q >> 4 * i & 0x0F0F0F0F) | high);
    }
    static __device__ __forceinline__ float scale(const u8 *block) { return half_at(block); }
    static __device__ __forceinline__ float less(const u8 *block, float scale) {
        return MIN ? -half_at(block + 2) : 16.0f * scale;
    }
};
struct LineQ8_0 {
    static constexpr u32 BYTES = 34;
    static constexpr bool LESS = false;
    __device__ __forceinline__ LineQ8_0(const u8 *, u32) {}
    // 1,024 + u for a byte u, and then 1,152 less: the signed number itself.
    __device__ __forceinline__ Quad group(const u8 *block, int i, u32 t) {
        u32 u = word_at(block + 2 + 16 * i + 4 * t) ^ 0x80808080;
        return minus({choose(u, 0x64646464, 0x4240), choose(u, 0x64646464, 0x4341)}, 0xE480E480);
    }
    static __device__ __forceinline__ float scale(const u8 *block) {
        return half_at(block) * UNIT;
    }
    static __device__ __forceinline__ float less(const u8 *, float) { return 0.0f; }
};
struct LineF16 {
    static constexpr u32 BYTES = 64;
    static constexpr bool LESS = false;
    __device__ __forceinline__ LineF16(const u8 *, u32) {}
    __device__ __forceinline__ Quad group(const u8 *block, int i, u32 t) {
        uint2 four = *reinterpret_cast<const uint2 *>(block + 32 * i + 8 * t);
        return {choose(four.x, four.y, 0x5410), choose(four.x, four.y, 0x7632)};
    }
    static __device__ __forceinline__ float scale(const u8 *) { return UNIT; }
    static __device__ __forceinline__ float less(const u8 *, float) { return 0.0f; }
};
// E2M1's exponent and mantissa are bits 9 to 11 of an f16 that is 2^14 times too small.
struct LineMXFP4 {
    static constexpr u32 BYTES = 17;
    static constexpr bool LESS = false;
    u32 q;
    __device__ __forceinline__ LineMXFP4(const u8 *block, u32 t)
        : q(word_at<1>(block + 1 + 4 * t)) {}
    static __device__ __forceinline__ u32 moved(u32 pair) {
        return (pair & 0x00080008) << 12 | (pair & 0x00070007) << 9;
    }
    __device__ __forceinline__ Quad group(const u8 *, int i, u32) {
        Quad codes = bytes_of(q >> 4 * i & 0x0F0F0F0F);
        return {moved(codes.even), moved(codes.odd)};
    }
    static __device__ __forceinline__ float scale(const u8 *block) {
        u32 e = block[0];
        return __uint_as_float(e ? e << 23 : 0x00400000) * (16384.0f * UNIT);
    }
    static __device__ __forceinline__ float less(const u8 *, float) { return 0.0f; }
};

// A part of the rows of two tiles that this lane looks at, `next` bytes apart.
struct Rows2 {
    const u8 *row;
    u32 next;
};

// Adds the products of units `first` .. `end` of two tiles. A unit is two blocks; the last may be
// one. Each warp takes every eighth unit of the whole row.
template <class F>
__device__ __forceinline__ void take_32(Lane &lane, Rows2 rows, u32 first, u32 end, u32 blocks) {
    for (u32 u = first + (lane.warp - first) % WARPS; u < end; u += WARPS) {
        const u8 *upper = rows.row + 2 * (u - first) * F::BYTES;
        // Where there is no second block x is zero, so that any number will do.
        u32 other = 2 * u + 1 < blocks ? F::BYTES : 0;
        u32 group = 2 * (2 * u + lane.column_region);
        uint2 x[2] = {lane.column(group), lane.column(group + 1)};
        float sums = F::LESS ? lane.sums[2 * u + lane.region] : 0.0f;
#pragma unroll
        for (int tile = 0; tile < 2; tile++, upper += rows.next) {
            const u8 *lower = upper + other;
            F one(upper, lane.t), two(lower, lane.t);
            float c[4] = {};
#pragma unroll
            for (int i = 0; i < 2; i++) {
                Quad a = one.group(upper, i, lane.t), b = two.group(lower, i, lane.t);
                multiply(c, a.even, b.even, a.odd, b.odd, x[i]);
            }
            const u8 *mine = lane.region ? lower : upper;
            float scale = F::scale(mine);
            lane.sum[tile] = fmaf(scale, lane.own(c), lane.sum[tile]);
            if (F::LESS) lane.minus[tile] = fmaf(F::less(mine, scale), sums, lane.minus[tile]);
        }
    }
}

// Q4_K and Q5_K: blocks of 256 in eight sub-blocks; a unit is half of one. Regions are two
// neighbouring 64s, whose lower nibbles come first; upper ones stand four bits higher, and so stand
// for sixteen times as much.
template <bool FIVE>
__device__ __forceinline__ void take_k(Lane &lane, Rows2 rows, u32 first, u32 end) {
    constexpr u32 BYTES = FIVE ? 176 : 144, CODES = FIVE ? 48 : 16;
    for (u32 u = 2 * first + (lane.warp - 2 * first) % WARPS; u < 2 * end; u += WARPS) {
        const u8 *block = rows.row + (u / 2 - first) * BYTES;
        bool half = u & 1;
        u32 group = 8 * u + 4 * lane.column_region;
        uint2 x[4];
#pragma unroll
        for (int i = 0; i < 4; i++) x[i] = lane.column(group + i);
        float2 sums = *reinterpret_cast<const float2 *>(lane.sums + 4 * u + 2 * lane.region);
#pragma unroll
        for (int tile = 0; tile < 2; tile++, block += rows.next) {
            const u8 *codes = block + CODES + (half ? 64 : 0) + 4 * lane.t;
            float low[4] = {}, high[4] = {};
#pragma unroll
            for (int i = 0; i < 2; i++) {
                u32 a = aligned_word(codes + 16 * i), b = aligned_word(codes + 32 + 16 * i);
                Quad la = {a & 0x000F000F, a >> 8 & 0x000F000F};
                Quad lb = {b & 0x000F000F, b >> 8 & 0x000F000F};
                Quad ha = {a & 0x00F000F0, a >> 8 & 0x00F000F0};
                Quad hb = {b & 0x00F000F0, b >> 8 & 0x00F000F0};
                if (FIVE) {
                    // Bit s of byte l is the fifth bit of element l of sub-block s.
                    u32 fifth = aligned_word(block + 16 + 16 * i + 4 * lane.t) >> (half ? 4 : 0);
                    la.even |= fifth << 4 & 0x00100010, la.odd |= fifth >> 4 & 0x00100010;
                    ha.even |= fifth << 7 & 0x01000100, ha.odd |= fifth >> 1 & 0x01000100;
                    lb.even |= fifth << 2 & 0x00100010, lb.odd |= fifth >> 6 & 0x00100010;
                    hb.even |= fifth << 5 & 0x01000100, hb.odd |= fifth >> 3 & 0x01000100;
                }
                multiply(low, la.even, lb.even, la.odd, lb.odd, x[i]);
                multiply(high, ha.even, hb.even, ha.odd, hb.odd, x[2 + i]);
            }
            // Four scales and minima of six bits: plain for the first half, in two parts for the
            // second.
            uint4 head = *reinterpret_cast<const uint4 *>(block);
            u32 s = half ? (head.w & 0x0F0F0F0F) | (head.y >> 2 & 0x30303030)
                         : head.y & 0x3F3F3F3F;
            u32 m = half ? (head.w >> 4 & 0x0F0F0F0F) | (head.z >> 2 & 0x30303030)
                         : head.z & 0x3F3F3F3F;
            s >>= 16 * lane.region, m >>= 16 * lane.region;
            float d = f32_of_f16(static_cast<u16>(head.x & 0xFFFF));
            float dmin = f32_of_f16(static_cast<u16>(head.x >> 16));
            float parts = small_float(s & 255) * lane.own(low);
            parts = fmaf(small_float(s >> 8 & 255) * 0.0625f, lane.own(high), parts);
            lane.sum[tile] = fmaf(d, parts, lane.sum[tile]);
            float mins = small_float(m & 255) * sums.x;
            mins = fmaf(small_float(m >> 8 & 255), sums.y, mins);
            lane.minus[tile] = fmaf(dmin, mins, lane.minus[tile]);
        }
    }
}

// Q6_K: blocks of 256 in sixteen sub-blocks; a unit is half of one. Regions are the two 32s of
// lower codes, then of upper ones.
__device__ __forceinline__ void take_q6_k(Lane &lane, Rows2 rows, u32 first, u32 end) {
    constexpr u32 BYTES = 210;
    for (u32 u = 2 * first + (lane.warp - 2 * first) % WARPS; u < 2 * end; u += WARPS) {
        const u8 *block = rows.row + (u / 2 - first) * BYTES;
        u32 half = u % 2, group = 8 * u + 2 * lane.column_region;
        uint2 x[4] = {lane.column(group), lane.column(group + 1), lane.column(group + 4),
                      lane.column(group + 5)};
#pragma unroll
        for (int tile = 0; tile < 2; tile++, block += rows.next) {
            const u8 *at = block + 192 + 8 * half + 2 * lane.region;
            u32 s[2] = {*reinterpret_cast<const u16 *>(at), *reinterpret_cast<const u16 *>(at + 4)};
            float parts = 0.0f;
#pragma unroll
            for (int i = 0; i < 2; i++) {
                const u8 *codes = block + 64 * half + 16 * i + 4 * lane.t;
                u32 a = word_at(codes), b = word_at(codes + 32);
                u32 q = word_at(block + 128 + 32 * half + 16 * i + 4 * lane.t);
                Quad la = bytes_of((a & 0x0F0F0F0F) | (q << 4 & 0x30303030));
                Quad lb = bytes_of((b & 0x0F0F0F0F) | (q << 2 & 0x30303030));
                Quad ha = bytes_of((a >> 4 & 0x0F0F0F0F) | (q & 0x30303030));
                Quad hb = bytes_of((b >> 4 & 0x0F0F0F0F) | (q >> 2 & 0x30303030));
                la = minus(la, 0x80208020), lb = minus(lb, 0x80208020);
                ha = minus(ha, 0x80208020), hb = minus(hb, 0x80208020);
                float low[4] = {}, high[4] = {};
                multiply(low, la.even, lb.even, la.odd, lb.odd, x[i]);
                multiply(high, ha.even, hb.even, ha.odd, hb.odd, x[2 + i]);
                // Signed bytes: 128 more, and 128 less again.
                float ls = small_float((s[0] >> 8 * i & 255) ^ 128) - 128.0f;
                float hs = small_float((s[1] >> 8 * i & 255) ^ 128) - 128.0f;
                parts = fmaf(ls, lane.own(low), parts);
                parts = fmaf(hs, lane.own(high), parts);
            }
            lane.sum[tile] = fmaf(half_at(block + 208), parts, lane.sum[tile]);
        }
    }
}

// Formats by the numbers that the host knows them by.
enum LineFormat {
    LINE_Q4_0,
    LINE_Q4_1,
    LINE_Q5_0,
    LINE_Q5_1,
    LINE_Q8_0,
    LINE_F16,
    LINE_MXFP4,
    LINE_Q4_K,
    LINE_Q5_K,
    LINE_Q6_K
};

// Adds a part of two tiles' rows: units `first` .. `end`, pairs of blocks of 32 or one of 256.
__device__ __forceinline__ void take(Lane &lane, u32 format, Rows2 rows, u32 first, u32 end,
                                     u32 width) {
    switch (format) {
        case LINE_Q4_0: return take_32<LineQ4<false>>(lane, rows, first, end, width / 32);
        case LINE_Q4_1: return take_32<LineQ4<true>>(lane, rows, first, end, width / 32);
        case LINE_Q5_0: return take_32<LineQ5<false>>(lane, rows, first, end, width / 32);
        case LINE_Q5_1: return take_32<LineQ5<true>>(lane, rows, first, end, width / 32);
        case LINE_Q8_0: return take_32<LineQ8_0>(lane, rows, first, end, width / 32);
        case LINE_F16: return take_32<LineF16>(lane, rows, first, end, width / 32);
        case LINE_MXFP4: return take_32<LineMXFP4>(lane, rows, first, end, width / 32);
        case LINE_Q4_K: return take_k<false>(lane, rows, first, end);
        case LINE_Q5_K: return take_k<true>(lane, rows, first, end);
        case LINE_Q6_K: return take_q6_k(lane, rows, first, end);
    }
}
