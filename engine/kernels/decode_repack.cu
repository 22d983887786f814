// From a GGUF file's blocks to the layouts of the decode kernels: same values, same byte count.
#include "decode_guard.cuh"
#if DECODE_FITS
#include "decode_state.cuh"

__device__ __forceinline__ u32 load_pair(const u8* p) { return p[0] | p[1] << 8; }

// Q8_0 rows for decode_q8.cuh. `rotated`: rows come in heads of 64 and an item of eight takes four
// rotation pairs. One thread per 16 bytes of codes.
extern "C" __global__ void repack_q8(const u8* from, u8* to, u32 rows, u32 k_len, u32 item_rows,
                                     u32 steps, u32 rotated) {
    const u32 blocks = k_len / 32, parts = 16 / item_rows, warps = blocks / (parts * steps);
    const u32 item_bytes = item_rows * blocks * 34;
    const u64 units = (u64)rows / item_rows * warps * steps * 32;
    for (u64 u = blockIdx.x * (u64)blockDim.x + threadIdx.x; u < units;
         u += (u64)gridDim.x * blockDim.x) {
        const u32 lane = u % 32, step = u / 32 % steps, warp = u / 32 / steps % warps;
        const u64 item = u / 32 / steps / warps;
        const u32 g = lane / 4, t = lane % 4;
        u8* base = to + item * item_bytes;
        u8* codes = base + (warp * steps + step) * 512 + lane * 16;
        u8* scales = base + warps * steps * 512 + (warp * steps + step) * 32 + g * 4;
        for (u32 half = 0; half < 2; half++) {
            const u32 m = g + 8 * half, r = m % item_rows, part = m / item_rows;
            const u64 row = rotated ? item / 8 * 64 + item % 8 * 4 + (r & 3) + (r & 4) * 8
                                    : item * item_rows + r;
            const u64 block = row * blocks + (warp * parts + part) * steps + step;
            const u8* source = from + block * 34;
            for (u32 i = 0; i < 8; i++) codes[8 * half + i] = source[2 + 8 * t + i] ^ 0x80;
            if (t != 0) continue;
            const u32 scale = load_pair(source);
            scales[2 * half] = scale, scales[2 * half + 1] = scale >> 8;
        }
    }
}

// Eight codes of one row, from element `k` of a block, as decode_mxfp4.cuh unpacks them.
__device__ __forceinline__ u32 mx_word(const u8* block, u32 k) {
    const u32 sign[4] = {15, 12, 14, 13}, magnitude[4] = {9, 6, 3, 0};
    u32 word = 0;
    for (u32 i = 0; i < 8; i++) {
        const u8 byte = block[1 + (k + i) % 16];
        const u32 code = k + i < 16 ? byte & 15 : byte >> 4, at = i % 2 * 16;
        word |= (code >> 3) << (sign[i / 2] + at) | (code & 7) << (magnitude[i / 2] + at);
    }
    return word;
}

// Gate and up rows interleaved. One thread per 16 bytes of codes.
extern "C" __global__ void repack_mxfp4_gate_up(const u8* gate, const u8* up, u8* to, u32 experts,
                                                u32 steps) {
    const u32 blocks = EMBD / 32, warps = blocks / 2 / steps;
    const u64 units = (u64)experts * GATE_ITEMS * warps * steps * 32;
    for (u64 u = blockIdx.x * (u64)blockDim.x + threadIdx.x; u < units;
         u += (u64)gridDim.x * blockDim.x) {
        const u32 lane = u % 32, step = u / 32 % steps, warp = u / 32 / steps % warps;
        const u64 item = u / 32 / steps / warps, row = item * 8 + lane / 4;
        const u32 t = lane % 4;
        const u64 block = row * blocks + (warp * steps + step) * 2 + t / 2;
        u8* base = to + item * GATE_ITEM;
        u32* codes = (u32*)(base + (warp * steps + step) * 512 + lane * 16);
        u8* scales =
            base + warps * steps * 512 + (warp * steps + step) * 32 + lane / 4 * 4 + (t & 2);
        for (u32 half = 0; half < 2; half++) {
            const u8* source = (half ? up : gate) + block * 17;
            const u32 k = t % 2 * 16;
            codes[2 * half] = mx_word(source, k), codes[2 * half + 1] = mx_word(source, k + 8);
            if (t % 2 == 0) scales[half] = source[0];
        }
    }
}

// Down rows in units of four; per expert all codes, then all scales. One thread per 8 bytes.
extern "C" __global__ void repack_mxfp4_down(const u8* from, u8* to, u32 experts, u32 steps) {
    const u32 blocks = FF / 32, warps = blocks / 2 / steps;
    const u64 units = (u64)experts * UNITS * warps * steps * 16;
    for (u64 u = blockIdx.x * (u64)blockDim.x + threadIdx.x; u < units;
         u += (u64)gridDim.x * blockDim.x) {
        const u32 t = u % 4, r = u / 4 % 4, step = u / 16 % steps, warp = u / 16 / steps % warps;
        const u64 unit = u / 16 / steps / warps, expert = unit / UNITS, index = unit % UNITS;
        const u64 row = expert * EMBD + index * UNIT + r;
        const u64 block = row * blocks + (warp * steps + step) * 2 + t / 2;
        const u8* source = from + block * 17;
        u8* base = to + expert * DOWN_EXPERT;
        u8* unit_base = base + index * DOWN_CODES;
        u32* codes = (u32*)(unit_base + (warp * steps + step) * 128 + r * 32 + t * 8);
        codes[0] = mx_word(source, t % 2 * 16), codes[1] = mx_word(source, t % 2 * 16 + 8);
        if (t % 2 == 0)
            base[(u64)UNITS * DOWN_CODES + index * DOWN_SCALES +
                 ((warp * 4 + r) * 2 + t / 2) * steps + step] = source[0];
    }
}
#endif
