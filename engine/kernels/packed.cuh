// Matrices in the order in which the decode kernels read them (repack.cu makes it): the file's
// values in as many bytes, read here row by row, so that prompts need no second copy.
#pragma once
#include "weight.cuh"

// Q8_0 in items of 4 or 8 rows, for decode_q8.cuh. A tile of sixteen lines is an item's rows in
// 16 / rows parts of K: line m holds row m % rows, part m / rows, and block
// (warp * parts + part) * steps + step of it stands where `warp` and `step` say. Per warp and step
// 512 bytes of codes + 128, then for all of them 32 bytes of scales.
struct Q8Items {
    static constexpr int LEN = 32;

    // Where block `block` of a row lies in an item.
    struct Place {
        u32 slab, line;
    };
    static __device__ __forceinline__ Place place(u32 row, u32 block, u32 rows, u32 steps) {
        u32 parts = 16 / rows, among = block / steps;
        return {among / parts * steps + block % steps, among % parts * rows + row};
    }
    // The row's place in the order of the items. Heads of 64 may be turned: an item of eight takes
    // four pairs of a rotation.
    static __device__ __forceinline__ u64 packed(u64 row, u32 turned) {
        if (!turned) return row;
        u32 i = row % 64;
        return row / 64 * 64 + i % 32 / 4 * 8 + (i & 3) + i / 32 * 4;
    }
    // The other way.
    static __device__ __forceinline__ u64 unpacked(u64 at, u32 turned) {
        if (!turned) return at;
        u32 i = at % 64;
        return at / 64 * 64 + i / 8 * 4 + (i & 3) + (i & 4) * 8;
    }
    static __device__ __forceinline__ u32 rows_of(u64 layout) { return layout & 255; }
    static __device__ __forceinline__ u32 steps_of(u64 layout) { return layout >> 8 & 0xffffff; }
    static __device__ __forceinline__ u32 turned_of(u64 layout) { return layout >> 32 & 1; }
};
template <>
struct Line<Q8Items> {
    const u8 *item;
    u32 row, rows, steps;
    __device__ Line() {}
    __device__ Line(const u8 *weight, u64 index, u32 width, u64 layout) {
        rows = Q8Items::rows_of(layout), steps = Q8Items::steps_of(layout);
        u64 at = Q8Items::packed(index, Q8Items::turned_of(layout));
        item = weight + at / rows * (rows * (width / 32) * 34);
        row = at % rows;
    }
    __device__ __forceinline__ void eight(u32 k, u32 width, float *w) const {
        Q8Items::Place at = Q8Items::place(row, k / 32, rows, steps);
        u32 g = at.line % 8, half = at.line / 8, t = k % 32 / 8;
        u64 q = *reinterpret_cast<const u64 *>(item + at.slab * 512 + (g * 4 + t) * 16 + 8 * half);
        const u8 *scales = item + width / 32 * rows / 16 * 512;
        float d = f16_at(scales + at.slab * 32 + g * 4 + 2 * half);
#pragma unroll
        for (int i = 0; i < 8; i++) {
            w[i] = static_cast<float>(static_cast<int>(byte_of(q, i)) - 128) * d;
        }
    }
};

// Eight E2M1 codes in a word, as decode_mxfp4.cuh takes them apart: pair i / 2 has its magnitudes
// at bit 9, 6, 3, 0 of either half and its signs at bit 15, 12, 14, 13.
__device__ __forceinline__ void eight_of_word(u32 word, float d, float *w) {
    const u32 sign[4] = {15, 12, 14, 13}, magnitude[4] = {9, 6, 3, 0};
#pragma unroll
    for (int i = 0; i < 8; i++) {
        u32 at = i % 2 * 16;
        u32 code = (word >> (sign[i / 2] + at) & 1) << 3 | (word >> (magnitude[i / 2] + at) & 7);
        w[i] = e2m1(code) * d;
    }
}

// MXFP4 of gate and up in items of eight rows of each: per pair of blocks 512 bytes of codes, lane
// (row, t) sixteen of gate and sixteen of up from 16 t on; then 32 bytes of scales a pair.
struct MxPairs {
    static constexpr int LEN = 32;
    static __device__ __forceinline__ u64 item_bytes(u32 width) {
        return static_cast<u64>(width / 32) * 16 * 17;
    }
};
template <>
struct Line<MxPairs> {
    const u8 *item;
    u32 row, up;
    __device__ Line() {}
    __device__ Line(const u8 *weight, u64 index, u32 width, u64 layout) {
        item = weight + index / 8 * MxPairs::item_bytes(width);
        row = index % 8, up = layout & 1;
    }
    __device__ __forceinline__ void eight(u32 k, u32 width, float *w) const {
        u32 pair = k / 64, t = k % 64 / 16;
        const u8 *codes = item + pair * 512 + (row * 4 + t) * 16 + up * 8 + k % 16 / 8 * 4;
        u32 e = item[width / 64 * 512 + pair * 32 + row * 4 + (t & 2) + up];
        eight_of_word(*reinterpret_cast<const u32 *>(codes), MXFP4w::scale(e), w);
    }
};

// MXFP4 of down in units of four rows: all codes of an expert, then all of its scales.
struct MxUnits {
    static constexpr int LEN = 32;
    static __device__ __forceinline__ u32 steps_of(u64 layout) { return layout & 0xffffffff; }
    static __device__ __forceinline__ u32 outputs_of(u64 layout) { return layout >> 32; }
};
template <>
struct Line<MxUnits> {
    const u8 *codes, *scales;
    u32 row, steps;
    __device__ Line() {}
    __device__ Line(const u8 *weight, u64 index, u32 width, u64 layout) {
        steps = MxUnits::steps_of(layout);
        u32 outputs = MxUnits::outputs_of(layout), unit = index % outputs / 4;
        const u8 *expert = weight + index / outputs * outputs * (width / 32) * 17;
        codes = expert + static_cast<u64>(unit) * 2 * width;
        scales = expert + static_cast<u64>(outputs) * (width / 2) + unit * (width / 8);
        row = index % 4;
    }
    __device__ __forceinline__ void eight(u32 k, u32, float *w) const {
        u32 pair = k / 64, t = k % 64 / 16, step = pair % steps, warp = pair / steps;
        const u8 *at = codes + pair * 128 + row * 32 + t * 8 + k % 16 / 8 * 4;
        u32 e = scales[((warp * 4 + row) * 2 + t / 2) * steps + step];
        eight_of_word(*reinterpret_cast<const u32 *>(at), MXFP4w::scale(e), w);
    }
};

// Every packed format, with the ending of its symbols.
#define EACH_PACKED(DO)                                                                       \
    DO(Q8Items, q8_0_itemsw) DO(MxPairs, mxfp4_pairsw) DO(MxUnits, mxfp4_unitsw)
