// Reading and writing the blackboard: how each kind of packet carries its value and its epoch, and
// how the hidden vector becomes normalised f16 in shared memory.
#pragma once
#include "decode_state.cuh"

// One thread's place in the step.
struct Place {
    int warp, lane, block;
    u32 smem, epoch;
    u8* shared;

    __device__ __forceinline__ float* floats(int at) const { return (float*)(shared + at); }

    // The compiler must not carry a phase's addresses through the whole token in registers that it
    // does not have: it cannot know that a volatile read of the thread's number never changes.
    __device__ __forceinline__ void again() {
        u32 thread;
        asm volatile("mov.u32 %0, %%tid.x;" : "=r"(thread));
        warp = thread / 32;
        lane = thread % 32;
        asm volatile("mov.u32 %0, %%ctaid.x;" : "=r"(block));
        asm volatile("mov.u32 %0, %1;" : "=r"(smem) : "r"(smem));
        asm volatile("mov.u64 %0, %1;" : "=l"(shared) : "l"(shared));
    }
};

__device__ __forceinline__ void consumers_meet() { named_barrier<1, CONSUMERS>(); }

__device__ __forceinline__ void consumers_pair() { named_barrier<2, 64>(); }

__device__ __forceinline__ void spun(u32& spins) {
    if (++spins > SPIN_LIMIT) __trap();
}

// Two values of 24 bits (sign, exponent, 15 bits of fraction) and 16 bits of epoch. The residual
// itself never travels; this copy is only normalised and rounded to f16, which keeps 10 bits.
__device__ __forceinline__ void hidden_put(u64* slot, float a, float b, u32 epoch) {
    const u32 x = (__float_as_uint(a) + 0x80u) >> 8, y = (__float_as_uint(b) + 0x80u) >> 8;
    shared_st64(slot, x | y << 24, y >> 8 | epoch << 16);
}

__device__ __forceinline__ void hidden_take(const u64* slots, float (&h)[PER_LANE], u32 epoch) {
    u32 spins = 0;
    bool ready;
    do {
        ready = true;
#pragma unroll
        for (int i = 0; i < PER_LANE / 2; i++) {
            const uint2 p = shared_ld64(slots + i);
            ready &= p.y >> 16 == (epoch & 0xffffu);
            h[2 * i] = __uint_as_float(p.x << 8);
            h[2 * i + 1] = __uint_as_float((p.x >> 24 | p.y << 8) << 8);
        }
        spun(spins);
    } while (!__all_sync(~0u, ready));
}

// Waits until `parts` have been counted. A count is a hint, kept so that waiting costs one word per
// block: it may overtake the packets it counts, which carry their own epoch.
__device__ __forceinline__ void await_parts(const Blackboard* board, int kind, u32 parts) {
    u32 spins = 0;
    while ((int)(shared_ld32(board->arrived[kind]) - parts) < 0) spun(spins);
}

// This warp has published `parts`.
__device__ __forceinline__ void count_parts(Blackboard* board, int kind, u32 parts, int lane) {
    __syncwarp();
    if (lane == 0) shared_count(board->arrived[kind], parts);
}

__device__ __forceinline__ void await_word(const u64* slot, u32 epoch) {
    u32 spins = 0;
    while (shared_ld64(slot).y != epoch) spun(spins);
}

__device__ __forceinline__ void float_put(u64* slot, float v, u32 epoch) {
    shared_st64(slot, __float_as_uint(v), epoch);
}

__device__ __forceinline__ float float_take(const u64* slot, u32 epoch) {
    u32 spins = 0;
    uint2 p;
    while ((p = shared_ld64(slot)).y != epoch) spun(spins);
    return __uint_as_float(p.x);
}

// Each f16 below one in magnitude leaves bit 14 free: it carries the epoch's parity.
constexpr float ACT_SCALE = 0.015625f, ACT_UNDO = 64.0f; // |activation| <= 56 after the clamps

__device__ __forceinline__ void activated_put(u16* slot, float v, u32 epoch) {
    shared_st16(slot, (u16)(f16_of_f32(v * ACT_SCALE) | (epoch & 1) << 14));
}

// 16 values, 32 bytes, into eight words.
__device__ __forceinline__ bool activated_take(const u16* slots, u32 (&x)[8], u32 epoch) {
    const u32 tag = epoch & 1 ? 0x40004000u : 0u;
    const uint4 p = shared_ld128(slots), q = shared_ld128(slots + 8);
    const u32 w[8] = {p.x, p.y, p.z, p.w, q.x, q.y, q.z, q.w};
    u32 wrong = 0;
#pragma unroll
    for (int i = 0; i < 8; i++) {
        x[i] = w[i] ^ tag;
        wrong |= x[i] & 0x40004000u;
    }
    return wrong == 0;
}

// The weights of this lane's hidden values, asked for long before they are needed.
__device__ __forceinline__ void norm_weights(const float* weights, float (&w)[PER_LANE],
                                             const Place& at) {
    if (at.warp < EMBD_WARPS) {
        const float2* p = (const float2*)(weights + at.warp * SLICE + at.lane * PER_LANE);
#pragma unroll
        for (int i = 0; i < PER_LANE / 2; i++) {
            const float2 v = __ldg(p + i);
            w[2 * i] = v.x, w[2 * i + 1] = v.y;
        }
    }
}

// This warp's share of the sum of squares goes to shared memory; then everybody meets.
__device__ __forceinline__ void norm_share(const float (&h)[PER_LANE], const Place& at) {
    float squares = 0.0f;
#pragma unroll
    for (int i = 0; i < PER_LANE; i++) squares = fmaf(h[i], h[i], squares);
    squares = warp_sum(squares);
    if (at.lane == 0) at.floats(S_SUM)[at.warp] = squares;
}

__device__ __forceinline__ float norm_scale(float eps, const Place& at) {
    float squares = 0.0f;
#pragma unroll
    for (int w = 0; w < EMBD_WARPS; w += 4) {
        const float4 v = lds_float4(at.smem + S_SUM + w * 4);
        squares += v.x;
        if (w + 1 < EMBD_WARPS) squares += v.y;
        if (w + 2 < EMBD_WARPS) squares += v.z;
        if (w + 3 < EMBD_WARPS) squares += v.w;
    }
    return rsqrtf(squares / EMBD + eps);
}

// Writes this warp's share of the normalised vector; only this warp reads it again.
__device__ __forceinline__ void norm_apply(const float (&h)[PER_LANE], const float (&w)[PER_LANE],
                                           float scale, const Place& at) {
    u32* x = (u32*)(at.shared + S_X) + (at.warp * SLICE + at.lane * PER_LANE) / 2;
#pragma unroll
    for (int i = 0; i < PER_LANE / 2; i++)
        x[i] = pack_f16(h[2 * i] * scale * w[2 * i], h[2 * i + 1] * scale * w[2 * i + 1]);
    __syncwarp();
}

// How many units of the residual this block owns; they are block * OWN_UNITS and following.
__device__ __forceinline__ int units_here(const Place& at) {
    return at.block < SHARES ? OWN_UNITS : 0;
}

// How many of `count` items, dealt out in turn, this block has.
__device__ __forceinline__ int items_here(int count, const Place& at) {
    return (count - at.block + BLOCKS - 1) / BLOCKS;
}
