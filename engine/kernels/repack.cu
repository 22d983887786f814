// From a file's blocks to the layouts of packed.cuh and weight.cuh: same values, same byte count.
#include "number.cuh"

#define EACH_UNIT(COUNT)                                                       \
    for (u64 u = blockIdx.x * static_cast<u64>(blockDim.x) + threadIdx.x,      \
             end = COUNT;                                                      \
         u < end; u += static_cast<u64>(gridDim.x) * blockDim.x)

// Q8_0 to Q8Items. One thread per 16 bytes of codes.
extern "C" __global__ void repack_q8_0_items(const u8 *from, u8 *to, u32 rows, u32 width,
                                             u32 item_rows, u32 steps, u32 turned) {
    const u32 blocks = width / 32, parts = 16 / item_rows, slabs = blocks / parts;
    const u32 item_bytes = item_rows * blocks * 34;
    EACH_UNIT(static_cast<u64>(rows) / item_rows * slabs * 32) {
        const u32 lane = u % 32, slab = u / 32 % slabs, warp = slab / steps, step = slab % steps;
        const u64 item = u / 32 / slabs;
        const u32 g = lane / 4, t = lane % 4;
        u8 *base = to + item * item_bytes;
        u8 *codes = base + slab * 512 + lane * 16;
        u8 *scales = base + slabs * 512 + slab * 32 + g * 4;
        for (u32 half = 0; half < 2; half++) {
            const u32 m = g + 8 * half, r = m % item_rows, part = m / item_rows;
            const u64 row = turned ? item / 8 * 64 + item % 8 * 4 + (r & 3) + (r & 4) * 8
                                   : item * item_rows + r;
            const u8 *source = from + (row * blocks + (warp * parts + part) * steps + step) * 34;
            for (u32 i = 0; i < 8; i++) codes[8 * half + i] = source[2 + 8 * t + i] ^ 0x80;
            if (t != 0) continue;
            scales[2 * half] = source[0], scales[2 * half + 1] = source[1];
        }
    }
}

// Eight codes of one row, from element `k` of a block, as eight_of_word takes them apart.
__device__ __forceinline__ u32 word_of(const u8 *block, u32 k) {
    const u32 sign[4] = {15, 12, 14, 13}, magnitude[4] = {9, 6, 3, 0};
    u32 word = 0;
    for (u32 i = 0; i < 8; i++) {
        const u8 byte = block[1 + (k + i) % 16];
        const u32 code = k + i < 16 ? byte & 15 : byte >> 4, at = i % 2 * 16;
        word |= (code >> 3) << (sign[i / 2] + at) | (code & 7) << (magnitude[i / 2] + at);
    }
    return word;
}

// MXFP4 of gate and up to MxPairs; `rows` of each, over all experts. One thread per 16 bytes of
// codes.
extern "C" __global__ void repack_mxfp4_pairs(const u8 *gate, const u8 *up, u8 *to, u32 rows,
                                              u32 width) {
    const u32 blocks = width / 32, pairs = blocks / 2, item_bytes = 16 * blocks * 17;
    EACH_UNIT(static_cast<u64>(rows) / 8 * pairs * 32) {
        const u32 lane = u % 32, pair = u / 32 % pairs, t = lane % 4;
        const u64 item = u / 32 / pairs, row = item * 8 + lane / 4;
        u8 *base = to + item * item_bytes;
        u32 *codes = reinterpret_cast<u32 *>(base + pair * 512 + lane * 16);
        u8 *scales = base + pairs * 512 + pair * 32 + lane / 4 * 4 + (t & 2);
        for (u32 half = 0; half < 2; half++) {
            const u8 *source = (half ? up : gate) + (row * blocks + pair * 2 + t / 2) * 17;
            const u32 k = t % 2 * 16;
            codes[2 * half] = word_of(source, k), codes[2 * half + 1] = word_of(source, k + 8);
            if (t % 2 == 0) scales[half] = source[0];
        }
    }
}

// MXFP4 to MxUnits; `outputs` rows an expert. One thread per 8 bytes of codes.
extern "C" __global__ void repack_mxfp4_units(const u8 *from, u8 *to, u32 experts, u32 outputs,
                                              u32 width, u32 steps) {
    const u32 blocks = width / 32, pairs = blocks / 2, units = outputs / 4;
    EACH_UNIT(static_cast<u64>(experts) * units * pairs * 16) {
        const u32 t = u % 4, r = u / 4 % 4, pair = u / 16 % pairs;
        const u32 warp = pair / steps, step = pair % steps;
        const u64 unit = u / 16 / pairs, expert = unit / units, index = unit % units;
        const u64 row = expert * outputs + index * 4 + r;
        const u8 *source = from + (row * blocks + pair * 2 + t / 2) * 17;
        u8 *base = to + expert * outputs * blocks * 17;
        u8 *unit_base = base + index * 2 * width;
        u32 *codes = reinterpret_cast<u32 *>(unit_base + pair * 128 + r * 32 + t * 8);
        codes[0] = word_of(source, t % 2 * 16), codes[1] = word_of(source, t % 2 * 16 + 8);
        if (t % 2 != 0) continue;
        u8 *scales = base + static_cast<u64>(outputs) * (width / 2) + index * (width / 8);
        scales[((warp * 4 + r) * 2 + t / 2) * steps + step] = source[0];
    }
}

// Any blocks to woven rows, as weight.cuh's Line has them. One thread per byte.
extern "C" __global__ void repack_woven(const u8 *from, u8 *to, u32 rows, u32 row_bytes,
                                        u32 unit_bytes) {
    EACH_UNIT(static_cast<u64>(rows) * row_bytes) {
        const u64 row = u / row_bytes, first = row / 8 * 8;
        const u32 at = u % row_bytes, before = at / unit_bytes * unit_bytes;
        const u32 bytes = min(row_bytes - before, unit_bytes), together = min(rows - first, 8ull);
        u8 *unit = to + first * row_bytes + static_cast<u64>(together) * before;
        unit[(row - first) * bytes + at - before] = from[u];
    }
}
