// Weights of generated rows, from blocks as files store them to tensor-core operands. What a block
// stores are whole numbers of at most eight bits, which f16 holds exactly; its scale is applied to
// sums. Up to ten bits stand in an f16 as they are: a subnormal number, 2^-24 of them.
#pragma once
#include "line_ptx.cuh"

// Of elements 4t .. 4t + 3 of sixteen in a row: the first and third, and the second and fourth.
struct Quad {
    u32 even, odd;
};

// A lane's part in the sums of two tiles of eight outputs: g = lane / 4 and t = lane % 4. Two
// regions of a row are multiplied at once, one by rows g of the operand and one by rows g + 8; x
// stands in the columns: regions (4), rows of the batch (2), and what is above and below eleven
// bits (1).
struct Lane {
    u32 t;
    // Where this lane's column of x starts, and its region.
    const uint2 *x;
    u32 column_region;
    // Sums of 16 elements of x, of this lane's row of the batch; its region of them.
    const float *sums;
    // What 128 elements were divided by.
    const float *scales;
    u32 region;
    // Of each tile; and what minima take away.
    float sum[2], minus[2];

    __device__ __forceinline__ uint2 column(u32 group) const { return x[8 * group]; }
    // This lane's sum of a product: of its region, upper and lower parts of x together.
    __device__ __forceinline__ float own(const float (&c)[4]) const {
        return (region ? c[2] : c[0]) + (region ? c[3] : c[1]);
    }
    // Sums of elements 32i .. 32i + 32.
    __device__ __forceinline__ float sum_of(u32 i) const {
        float2 two = *reinterpret_cast<const float2 *>(sums + 2 * i);
        return two.x + two.y;
    }
};

// Words of a block that may start at any byte.
struct Words {
    const u32 *aligned;
    u32 shift;

    __device__ __forceinline__ explicit Words(const u8 *at) {
        u32 odd = static_cast<u32>(reinterpret_cast<u64>(at)) & 3;
        aligned = reinterpret_cast<const u32 *>(at - odd), shift = 8 * odd;
    }
    // The word `bytes` on, a multiple of four.
    __device__ __forceinline__ u32 at(u32 bytes) const {
        return __funnelshift_r(aligned[bytes / 4], aligned[bytes / 4 + 1], shift);
    }
};
__device__ __forceinline__ u32 aligned_word(const u8 *at) {
    return *reinterpret_cast<const u32 *>(at);
}
__device__ __forceinline__ u32 pair_at(const u8 *at) { return *reinterpret_cast<const u16 *>(at); }
__device__ __forceinline__ float half_at(const u8 *at) { return f32_of_f16(pair_at(at)); }
// Byte `byte` of a word as a number, without the slow conversion: below 2^23 + 256 an f32 has no
// fractions, below 2^19 + 16 it has sixteenths.
__device__ __forceinline__ float byte_of(u32 word, u32 byte) {
    return __uint_as_float(choose(word, 0x4B000000, 0x7550 + byte)) - 8388608.0f;
}
__device__ __forceinline__ float sixteenth_of(u32 word, u32 byte) {
    return __uint_as_float(choose(word, 0x49000000, 0x7550 + byte)) - 524288.0f;
}

// Bytes as they are, and four-bit codes, at bits 0 and 16 of both words.
__device__ __forceinline__ Quad bytes_of(u32 q) { return {q & 0x00FF00FF, choose(q, 0, 0x4341)}; }
__device__ __forceinline__ Quad minus(Quad quad, u32 pair) {
    return {add_pairs(quad.even, pair), add_pairs(quad.odd, pair)};
}
constexpr float UNIT = 1.0f / 16777216.0f;

// Blocks of 32, PAIRS of pairs to a unit: `group` gives elements 16i + 4t .. +4 as numbers, `scale`
// what one of them stands for, and `less` what is taken away from each element.
template <bool MIN>
struct LineQ4 {
    static constexpr u32 HEAD = MIN ? 4 : 2, BYTES = HEAD + 16, PAIRS = 2;
    static constexpr bool LESS = true;
    u32 q;
    __device__ __forceinline__ LineQ4(const u8 *block, u32 t)
        : q(Words(block + HEAD + 4 * t).at(0)) {}
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
    static constexpr u32 HEAD = MIN ? 4 : 2, BYTES = HEAD + 20, PAIRS = 2;
    static constexpr bool LESS = true;
    u32 q, fifth;
    __device__ __forceinline__ LineQ5(const u8 *block, u32 t) {
        Words words(block + HEAD);
        q = words.at(4 + 4 * t), fifth = words.at(0) >> 4 * t;
    }
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
    static constexpr u32 BYTES = 34, PAIRS = 2;
    static constexpr bool LESS = false;
    Words words;
    __device__ __forceinline__ LineQ8_0(const u8 *block, u32 t) : words(block + 2 + 4 * t) {}
    // 1,024 + u for a byte u, and then 1,152 less: the signed number itself.
    __device__ __forceinline__ Quad group(const u8 *, int i, u32) {
        u32 u = words.at(16 * i) ^ 0x80808080;
        return minus({choose(u, 0x64646464, 0x4240), choose(u, 0x64646464, 0x4341)}, 0xE480E480);
    }
    static __device__ __forceinline__ float scale(const u8 *block) {
        return half_at(block) * UNIT;
    }
    static __device__ __forceinline__ float less(const u8 *, float) { return 0.0f; }
};
struct LineF16 {
    static constexpr u32 BYTES = 64, PAIRS = 1;
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
    static constexpr u32 BYTES = 17, PAIRS = 2;
    static constexpr bool LESS = false;
    u32 q;
    __device__ __forceinline__ LineMXFP4(const u8 *block, u32 t)
        : q(Words(block + 1 + 4 * t).at(0)) {}
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

// The rows of two tiles that this lane looks at, `next` bytes apart: one unit of each.
struct Rows2 {
    const u8 *row;
    u32 next;
};

// Adds the products of blocks 2 · pair and the next of two tiles.
template <class F>
__device__ __forceinline__ void take_pair(Lane &lane, Rows2 rows, u32 pair, u32 blocks) {
    const u8 *upper = rows.row;
    // Where there is no second block x is zero, so that any number will do.
    u32 other = 2 * pair + 1 < blocks ? F::BYTES : 0;
    u32 group = 2 * (2 * pair + lane.column_region);
    uint2 x[2] = {lane.column(group), lane.column(group + 1)};
    float sums = F::LESS ? lane.sum_of(2 * pair + lane.region) : 0.0f, of = lane.scales[pair / 2];
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
        lane.sum[tile] = fmaf(scale * of, lane.own(c), lane.sum[tile]);
        if (F::LESS) lane.minus[tile] = fmaf(F::less(mine, scale), sums, lane.minus[tile]);
    }
}

// Adds the products of unit `u` of two tiles; the last unit may be shorter. A loop, because code is
// dear: unrolled it cost a model of other formats a seventh of its tokens.
template <class F>
__device__ __forceinline__ void take_32(Lane &lane, Rows2 rows, u32 u, u32 blocks) {
    u32 end = min(F::PAIRS * (u + 1), (blocks + 1) / 2);
#pragma unroll 1
    for (u32 pair = F::PAIRS * u; pair < end; pair++, rows.row += 2 * F::BYTES) {
        take_pair<F>(lane, rows, pair, blocks);
    }
}

// Q4_K and Q5_K: a unit is a block of 256 in eight sub-blocks, taken by halves. Regions are two
// neighbouring 64s, whose lower nibbles come first; upper ones stand four bits higher, and so stand
// for sixteen times as much.
template <bool FIVE>
__device__ __forceinline__ void take_k(Lane &lane, Rows2 rows, u32 u) {
    constexpr u32 CODES = FIVE ? 48 : 16;
    const u8 *block = rows.row;
    uint2 x[2][4];
    float sums[2][2];
#pragma unroll
    for (int half = 0; half < 2; half++) {
        u32 first = 2 * u + half;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            x[half][i] = lane.column(8 * first + 4 * lane.column_region + i);
        }
        sums[half][0] = lane.sum_of(4 * first + 2 * lane.region);
        sums[half][1] = lane.sum_of(4 * first + 2 * lane.region + 1);
    }
#pragma unroll
    for (int tile = 0; tile < 2; tile++, block += rows.next) {
        // Four scales and minima of six bits: plain for the first half, in two parts for the
        // second.
        uint4 head = *reinterpret_cast<const uint4 *>(block);
        u32 s[2] = {head.y & 0x3F3F3F3F, (head.w & 0x0F0F0F0F) | (head.y >> 2 & 0x30303030)};
        u32 m[2] = {head.z & 0x3F3F3F3F, (head.w >> 4 & 0x0F0F0F0F) | (head.z >> 2 & 0x30303030)};
        u32 fifth[2];
        if (FIVE) {
            // Bit s of byte l is the fifth bit of element l of sub-block s.
            fifth[0] = aligned_word(block + 16 + 4 * lane.t);
            fifth[1] = aligned_word(block + 32 + 4 * lane.t);
        }
        float parts = 0.0f, mins = 0.0f;
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const u8 *codes = block + CODES + 64 * half + 4 * lane.t;
            float low[4] = {}, high[4] = {};
#pragma unroll
            for (int i = 0; i < 2; i++) {
                u32 a = aligned_word(codes + 16 * i), b = aligned_word(codes + 32 + 16 * i);
                Quad la = {a & 0x000F000F, a >> 8 & 0x000F000F};
                Quad lb = {b & 0x000F000F, b >> 8 & 0x000F000F};
                Quad ha = {a & 0x00F000F0, a >> 8 & 0x00F000F0};
                Quad hb = {b & 0x00F000F0, b >> 8 & 0x00F000F0};
                if (FIVE) {
                    u32 five = fifth[i] >> 4 * half;
                    la.even |= five << 4 & 0x00100010, la.odd |= five >> 4 & 0x00100010;
                    ha.even |= five << 7 & 0x01000100, ha.odd |= five >> 1 & 0x01000100;
                    lb.even |= five << 2 & 0x00100010, lb.odd |= five >> 6 & 0x00100010;
                    hb.even |= five << 5 & 0x01000100, hb.odd |= five >> 3 & 0x01000100;
                }
                multiply(low, la.even, lb.even, la.odd, lb.odd, x[half][i]);
                multiply(high, ha.even, hb.even, ha.odd, hb.odd, x[half][2 + i]);
            }
            float part = byte_of(s[half], 2 * lane.region) * lane.own(low);
            part = fmaf(sixteenth_of(s[half], 2 * lane.region + 1), lane.own(high), part);
            parts = fmaf(lane.scales[2 * u + half], part, parts);
            mins = fmaf(byte_of(m[half], 2 * lane.region), sums[half][0], mins);
            mins = fmaf(byte_of(m[half], 2 * lane.region + 1), sums[half][1], mins);
        }
        float d = f32_of_f16(static_cast<u16>(head.x & 0xFFFF));
        float dmin = f32_of_f16(static_cast<u16>(head.x >> 16));
        lane.sum[tile] = fmaf(d, parts, lane.sum[tile]);
        lane.minus[tile] = fmaf(dmin, mins, lane.minus[tile]);
    }
}

// Q6_K: a unit is a block of 256 in sixteen sub-blocks, taken by halves. Regions are the two 32s of
// lower codes, then of upper ones. Codes are 32 too large.
__device__ __forceinline__ void take_q6_k(Lane &lane, Rows2 rows, u32 u) {
    const u8 *block = rows.row;
    uint2 x[2][4];
    float2 sums[2][2];
#pragma unroll
    for (int half = 0; half < 2; half++) {
        u32 first = 8 * (2 * u + half), group = first + 2 * lane.column_region;
#pragma unroll
        for (int i = 0; i < 4; i++) x[half][i] = lane.column(group + i % 2 + i / 2 * 4);
        const float *at = lane.sums + first + 2 * lane.region;
        sums[half][0] = *reinterpret_cast<const float2 *>(at);
        sums[half][1] = *reinterpret_cast<const float2 *>(at + 4);
    }
#pragma unroll
    for (int tile = 0; tile < 2; tile++, block += rows.next) {
        Words words(block + 4 * lane.t);
        float parts = 0.0f, mins = 0.0f;
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float part = 0.0f;
            // Four signed bytes, 128 more.
            const u8 *at = block + 192 + 8 * half + 2 * lane.region;
            u32 s = choose(pair_at(at), pair_at(at + 4), 0x5410) ^ 0x80808080;
#pragma unroll
            for (int i = 0; i < 2; i++) {
                u32 a = words.at(64 * half + 16 * i), b = words.at(64 * half + 16 * i + 32);
                u32 q = words.at(128 + 32 * half + 16 * i);
                Quad la = bytes_of((a & 0x0F0F0F0F) | (q << 4 & 0x30303030));
                Quad lb = bytes_of((b & 0x0F0F0F0F) | (q << 2 & 0x30303030));
                Quad ha = bytes_of((a >> 4 & 0x0F0F0F0F) | (q & 0x30303030));
                Quad hb = bytes_of((b >> 4 & 0x0F0F0F0F) | (q >> 2 & 0x30303030));
                float low[4] = {}, high[4] = {};
                multiply(low, la.even, lb.even, la.odd, lb.odd, x[half][i]);
                multiply(high, ha.even, hb.even, ha.odd, hb.odd, x[half][2 + i]);
                float ls = byte_of(s, i) - 128.0f, hs = byte_of(s, 2 + i) - 128.0f;
                part = fmaf(ls, lane.own(low), part);
                part = fmaf(hs, lane.own(high), part);
                mins = fmaf(ls, i ? sums[half][0].y : sums[half][0].x, mins);
                mins = fmaf(hs, i ? sums[half][1].y : sums[half][1].x, mins);
            }
            parts = fmaf(lane.scales[2 * u + half], part, parts);
        }
        float d = half_at(block + 208);
        lane.sum[tile] = fmaf(d, parts, lane.sum[tile]);
        lane.minus[tile] = fmaf(32.0f * d, mins, lane.minus[tile]);
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

// Adds a unit of two tiles' rows.
__device__ __forceinline__ void take(Lane &lane, u32 format, Rows2 rows, u32 u, u32 width) {
    switch (format) {
        case LINE_Q4_0: return take_32<LineQ4<false>>(lane, rows, u, width / 32);
        case LINE_Q4_1: return take_32<LineQ4<true>>(lane, rows, u, width / 32);
        case LINE_Q5_0: return take_32<LineQ5<false>>(lane, rows, u, width / 32);
        case LINE_Q5_1: return take_32<LineQ5<true>>(lane, rows, u, width / 32);
        case LINE_Q8_0: return take_32<LineQ8_0>(lane, rows, u, width / 32);
        case LINE_F16: return take_32<LineF16>(lane, rows, u, width / 32);
        case LINE_MXFP4: return take_32<LineMXFP4>(lane, rows, u, width / 32);
        case LINE_Q4_K: return take_k<false>(lane, rows, u);
        case LINE_Q5_K: return take_k<true>(lane, rows, u);
        case LINE_Q6_K: return take_q6_k(lane, rows, u);
    }
}
