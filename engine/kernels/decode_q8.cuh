// Q8_0 rows times a vector on the tensor cores.
//
// A tile of 16 matrix rows is R weight rows in 16 / R parts of K; a part finds its piece of the
// vector in a column of its own, so that the eight columns of an instruction, of which one token
// would use one, stand for the parts. A weight q is stored as q + 128 and read as the f16 whose
// bits it is, a subnormal: (q + 128) * 2^-24 exactly, one byte permutation for two weights. The sum
// starts at minus 128 * 2^-24 * (sum of the block's vector), which takes the offset out again.
//
// Layout of an item: [warp][step][lane] 16 bytes, then [warp][step][g] two f16 scales; lane
// (g, t) holds tile rows g and g + 8, weights 8t .. 8t + 7 of the block; tile row m is weight row
// m % R, part m / R; block = (warp * parts + part) * steps + step.
#pragma once
#include "decode_state.cuh"

constexpr float Q8_UNDO = 16777216.0f;                   // 2^24
constexpr float Q8_OFFSET = 128.0f / 16777216.0f;

template <int STEPS>
struct Q8Vector {
    u32 x[STEPS][4];                                     // column g: 8 f16 of this lane's part
    float even[STEPS], odd[STEPS];                       // where columns 2t and 2t + 1 start
};

// Sets the starts from the columns: a row of ones gives every column's sum.
template <int STEPS>
__device__ __forceinline__ void q8_starts(Q8Vector<STEPS>& v) {
    const u32 ones = 0x3c003c00u;
#pragma unroll
    for (int j = 0; j < STEPS; j++) {
        float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        mma_f16(sum, ones, ones, ones, ones, v.x[j][0], v.x[j][1]);
        mma_f16(sum, ones, ones, ones, ones, v.x[j][2], v.x[j][3]);
        v.even[j] = -Q8_OFFSET * sum[0];
        v.odd[j] = -Q8_OFFSET * sum[1];
    }
}

// The vector stands in shared memory; columns are parts.
template <int STEPS, int PARTS>
__device__ __forceinline__ void q8_vector(Q8Vector<STEPS>& v, u32 vector, int warp, int lane) {
    const int part = (lane >> 2) % PARTS, t = lane & 3;
#pragma unroll
    for (int j = 0; j < STEPS; j++) {
        const int block = (warp * PARTS + part) * STEPS + j;
        const uint4 q = lds128(vector + (block * 32 + 8 * t) * 2);
        v.x[j][0] = q.x, v.x[j][1] = q.y, v.x[j][2] = q.z, v.x[j][3] = q.w;
    }
    q8_starts(v);
}

// Adds scale * (tile row . column) of every block of the item to acc.
template <int STEPS, int PARTS, int N_WARPS>
__device__ __forceinline__ void q8_item(float (&acc)[4], u32 item, const Q8Vector<STEPS>& v,
                                        int warp, int lane) {
    const u32 codes = item + warp * STEPS * 512 + lane * 16;
    const u32 scales = item + N_WARPS * STEPS * 512 + warp * STEPS * 32 + (lane >> 2) * 4;
#pragma unroll
    for (int j = 0; j < STEPS; j++) {
        const uint4 q = lds128(codes + j * 512);
        const u32 s = lds32(scales + j * 32);
        float c[4] = {v.even[j], v.odd[j], v.even[j], v.odd[j]};
        mma_f16(c, prmt(q.x, 0, 0x4140), prmt(q.z, 0, 0x4140), prmt(q.x, 0, 0x4342),
                prmt(q.z, 0, 0x4342), v.x[j][0], v.x[j][1]);
        mma_f16(c, prmt(q.y, 0, 0x4140), prmt(q.w, 0, 0x4140), prmt(q.y, 0, 0x4342),
                prmt(q.w, 0, 0x4342), v.x[j][2], v.x[j][3]);
        const float lower = f32_of_f16((u16)s), upper = f32_of_f16((u16)(s >> 16));
        acc[0] = fmaf(lower, c[0], acc[0]);
        if (PARTS == 4) {
            acc[1] = fmaf(lower, c[1], acc[1]);
            acc[2] = fmaf(upper, c[2], acc[2]);
        }
        acc[3] = fmaf(upper, c[3], acc[3]);
    }
}

// Eight rows in two parts: row g's value, in every lane of g.
__device__ __forceinline__ float q8_row_of_8(const float (&acc)[4]) { return acc[0] + acc[3]; }

// Four rows in four parts: row g % 4's value, in lanes with t < 2 ... all lanes of that row agree.
__device__ __forceinline__ float q8_row_of_4(const float (&acc)[4], int lane) {
    const bool low = lane < 16;
    float v = lane & 1 ? (low ? acc[2] : acc[3]) : (low ? acc[0] : acc[1]);
    v += __shfl_xor_sync(~0u, v, 1);
    return v + __shfl_xor_sync(~0u, v, 16);
}
