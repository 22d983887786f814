// MXFP4 rows times a vector on the tensor cores.
//
// A word holds eight codes of one row in an order that makes four pairs of f16 cheap: per half-word
// a code's three magnitude bits stand at 11:9, 8:6, 5:3, 2:0 and its sign at 15, 12, 14, 13.
// Magnitude bits at 11:9 of an f16 are the value times 2^-14, exactly, subnormals included.
//
// Two blocks of 32 share an accumulator: lanes t = 0, 1 hold weights of the even block and t = 2, 3
// of the odd one, columns 0-3 of the vector are zero for the odd block's lanes and columns 4-7 for
// the even one's. The f32 sum of a pair of blocks is then multiplied by the block's own scale.
#pragma once
#include "decode_state.cuh"

constexpr float MX_UNDO = 16384.0f;                      // 2^14
constexpr int MX_STEPS = EMBD / 64 / EMBD_WARPS;         // pairs of blocks per warp
constexpr int FF_STEPS = FF / 64 / FF_WARPS;

__device__ __forceinline__ void mx_unpack(u32 w, u32 (&pairs)[4]) {
    const u32 keep = 0x8E008E00u;
    pairs[0] = w & keep;
    pairs[1] = (w << 3) & keep;
    pairs[2] = ((w & 0x40384038u) * 66u) & keep;         // magnitude << 6, sign << 1
    pairs[3] = ((w & 0x20072007u) * 516u) & keep;        // magnitude << 9, sign << 2
}

// 2^(byte - 127) as f32 from a byte at bit 0; byte 0 gives 0 (2^-127 is below f32's normal range).
__device__ __forceinline__ float mx_scale(u32 byte) { return __uint_as_float(byte << 23); }

template <int STEPS>
struct MxVector {
    u32 x[STEPS][8];                                     // 16 f16 of this lane's column and k
};

// `rows_low` are two words of tile row g, `rows_high` of tile row g + 8: 16 weights each.
__device__ __forceinline__ void mx_step(float (&c)[4], u32 low0, u32 low1, u32 high0, u32 high1,
                                        const u32 (&x)[8]) {
    u32 a[4], b[4];
    mx_unpack(low0, a);
    mx_unpack(high0, b);
    mma_f16(c, a[0], b[0], a[1], b[1], x[0], x[1]);
    mma_f16(c, a[2], b[2], a[3], b[3], x[2], x[3]);
    mx_unpack(low1, a);
    mx_unpack(high1, b);
    mma_f16(c, a[0], b[0], a[1], b[1], x[4], x[5]);
    mma_f16(c, a[2], b[2], a[3], b[3], x[6], x[7]);
}

// Gate and up: tile row g is gate row g of the item, tile row g + 8 its up row.
// Item: [warp][step][lane] 16 bytes; then [warp][step][g][block] two bytes of scale.
__device__ __forceinline__ void mx_gate_vector(MxVector<MX_STEPS>& v, u32 vector, int warp,
                                               int lane) {
    const int t = lane & 3;
    const bool mine = (lane >> 4) == (t >> 1);
#pragma unroll
    for (int j = 0; j < MX_STEPS; j++) {
        const u32 at = vector + ((warp * MX_STEPS + j) * 64 + 16 * t) * 2;
        const uint4 p = lds128(at), q = lds128(at + 16);
        const u32 x[8] = {p.x, p.y, p.z, p.w, q.x, q.y, q.z, q.w};
#pragma unroll
        for (int i = 0; i < 8; i++) v.x[j][i] = mine ? x[i] : 0;
    }
}

__device__ __forceinline__ void mx_gate_item(float& gate, float& up, u32 item,
                                             const MxVector<MX_STEPS>& v, int warp, int lane) {
    const u32 codes = item + warp * MX_STEPS * 512 + lane * 16;
    const u32 scales = item + EMBD_WARPS * MX_STEPS * 512 + warp * MX_STEPS * 32 +
                       (lane >> 2) * 4 + (lane & 2);
    gate = 0.0f, up = 0.0f;
#pragma unroll
    for (int j = 0; j < MX_STEPS; j++) {
        const uint4 q = lds128(codes + j * 512);
        const u32 s = lds16(scales + j * 32);
        float c[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        mx_step(c, q.x, q.y, q.z, q.w, v.x[j]);
        gate = fmaf(mx_scale(s & 255), c[0], gate);
        up = fmaf(mx_scale(s >> 8), c[2], up);
    }
    gate += __shfl_xor_sync(~0u, gate, 2);
    up += __shfl_xor_sync(~0u, up, 2);
}

// Down: a tile is four rows of each of the four chosen experts, whose vectors stand in columns
// slot and slot + 4. Codes per slot: [warp][step][row][t] 8 bytes; scales: [warp][row][block]
// [step].
// Returns tile row g's value in lanes t = 0 and tile row g + 8's in lanes t = 1, where tile row m
// is row m % 4 of slot m / 4.
__device__ __forceinline__ float mx_down_item(u32 item, int skew, const MxVector<FF_STEPS>& v,
                                              int warp, int lane) {
    const int g = lane >> 2, t = lane & 3, slot = g >> 2, row = g & 3;
    const u32 codes = item + slot * DOWN_CODES + warp * FF_STEPS * 128 + row * 32 + t * 8;
    const u32 scales = item + TOP_K * DOWN_CODES + slot * DOWN_WINDOW + skew +
                       ((warp * 4 + row) * 2 + (t >> 1)) * FF_STEPS;
    float acc[4] = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll
    for (int j = 0; j < FF_STEPS; j++) {
        const uint2 low = lds64(codes + j * 128), high = lds64(codes + 2 * DOWN_CODES + j * 128);
        const float s_low = mx_scale(lds8(scales + j));
        const float s_high = mx_scale(lds8(scales + 2 * DOWN_WINDOW + j));
        float c[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        mx_step(c, low.x, low.y, high.x, high.y, v.x[j]);
        acc[0] = fmaf(s_low, c[0], acc[0]);
        acc[1] = fmaf(s_low, c[1], acc[1]);
        acc[2] = fmaf(s_high, c[2], acc[2]);
        acc[3] = fmaf(s_high, c[3], acc[3]);
    }
    const bool first = lane < 16;
    const float mine = t & 1 ? (first ? acc[2] : acc[3]) : (first ? acc[0] : acc[1]);
    return mine + __shfl_xor_sync(~0u, mine, 2);
}
