// The expert phases of a decode step: the choice of experts, gate and up with the clamped SwiGLU,
// and down with the weighted sum into the residual, experts in order of their ids.
#pragma once
#include "decode_board.cuh"
#include "decode_mxfp4.cuh"
#include "decode_ring.cuh"

// Sums the shares of lane's logit that this warp has: every 16th.
__device__ __forceinline__ void router_share(const Blackboard* board, const Place& at) {
    constexpr int N = (SHARES + WARPS - 1) / WARPS;
    float part[N];
    u32 spins = 0;
    bool ready;
    do {
        ready = true;
#pragma unroll
        for (int i = 0; i < N; i++) {
            const int share = at.warp + i * WARPS;
            const uint2 p = shared_ld64(&board->router[min(share, SHARES - 1)][at.lane]);
            ready &= p.y == at.epoch;
            part[i] = share < SHARES ? __uint_as_float(p.x) : 0.0f;
        }
        spun(spins);
    } while (!ready);
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < N; i++) sum += part[i];
    at.floats(S_LOGITS)[at.warp * EXPERTS + at.lane] = sum;
}

// A float's bits as an integer that orders the same way; NaN below everything.
__device__ __forceinline__ u32 ordered(float v) {
    const u32 bits = __float_as_uint(v);
    return v != v ? 0 : bits >> 31 ? ~bits : bits | 0x80000000u;
}

// One warp picks the four largest logits, ties to the lower id, lists them by id, shares one among
// them by a softmax, and tells the producer which experts to fetch.
__device__ __forceinline__ void choose(const DecodeArgs& args, float scale, float bias, u32 layer,
                                       const Place& at) {
    float logit = 0.0f;
#pragma unroll
    for (int w = 0; w < WARPS; w++) logit += at.floats(S_LOGITS)[w * EXPERTS + at.lane];
    logit = fmaf(logit, scale, bias);
    const u32 key = ordered(logit);
    u32 chosen = 0, top = 0;
#pragma unroll 1
    for (int k = 0; k < TOP_K; k++) {
        const bool left = !(chosen >> at.lane & 1);
        const u32 most = __reduce_max_sync(~0u, left ? key : 0);
        chosen |= 1u << (__ffs(__ballot_sync(~0u, left && key == most)) - 1);
        if (k == 0) top = most;
    }
    const bool mine = chosen >> at.lane & 1;
    const float best = __uint_as_float(top >> 31 ? top & 0x7fffffffu : ~top);
    const float share = mine ? exp2f((logit - best) * LOG2E) : 0.0f;
    const float sum = warp_sum(share);
    const int slot = __popc(chosen & ((1u << at.lane) - 1));
    u32* ids = (u32*)(at.shared + S_ROUTE);
    if (mine) {
        ids[slot] = at.lane;
        ((float*)ids)[TOP_K + slot] = share / sum;
        if (args.routes && at.block == 0) args.routes[layer * TOP_K + slot] = at.lane;
    }
    __syncwarp();
    if (at.lane == 0) mbar_arrive(at.smem + S_BARS + 16 * SLOTS);
}

__device__ __forceinline__ float swiglu_oai(float gate, float up) {
    gate = fminf(gate, 7.0f);
    up = fminf(fmaxf(up, -7.0f), 7.0f);
    return (up + 1.0f) * gate / (1.0f + exp2f(-1.702f * LOG2E * gate));
}

// What a block has computed of its items, all warps' parts of each row.
__device__ __forceinline__ void gate_finish(const DecodeArgs& args, int n, float gate_bias,
                                            float up_bias, const Place& at) {
    consumers_meet();
    if (at.warp >= (n * 8 + 31) / 32) return;
    const int i = at.warp * 32 + at.lane;
    float gate = 0.0f, up = 0.0f;
    const float* part = at.floats(S_WORK) + i / 8 * EMBD_WARPS * 16 + i % 8;
#pragma unroll 5
    for (int w = 0; w < EMBD_WARPS; w++) gate += part[w * 16], up += part[w * 16 + 8];
    const float v = swiglu_oai(fmaf(gate, MX_UNDO, gate_bias), fmaf(up, MX_UNDO, up_bias));
    if (i / 8 < n) {
        const u32 item = lds32(at.smem + S_LIST + i / 8 * 4);
        if (!(fabsf(v) <= 56.0f)) args.board->failed = 1; // the logits will say so
        activated_put(args.board->activated + item * 8 + i % 8, fminf(fmaxf(v, -56.0f), 56.0f),
                      at.epoch);
    }
    count_parts(args.board, ACTIVATED, min(4, n - at.warp * 4), at.lane);
}

__device__ __forceinline__ void gate_up(const DecodeArgs& args, const DecodeLayer& layer,
                                        u32 l, Ring& ring, const Place& at) {
    static_assert(GATE_ITEMS * 8 == FF, "an item's rows follow from its number");
    MxVector<MX_STEPS> x = {};
    if (at.warp < EMBD_WARPS) mx_gate_vector(x, at.smem + S_X, at.warp, at.lane);
    mbar_wait(at.smem + S_BARS + 16 * SLOTS, l & 1);
    float* parts = at.floats(S_WORK);
    float gate_bias = 0.0f, up_bias = 0.0f;
    int n = 0;
    while (true) {
        const u32 from = ring.take(), item = ring.note();
        if (item == NO_ITEM) break;
        if (at.warp == n / 4 && at.lane / 8 == n % 4) {
            const u64 expert = ((const u32*)(at.shared + S_ROUTE))[item / GATE_ITEMS];
            const u64 row = expert * FF + item % GATE_ITEMS * 8 + at.lane % 8;
            gate_bias = __ldg(layer.gate_bias + row);
            up_bias = __ldg(layer.up_bias + row);
            sts32(at.smem + S_LIST + n * 4, item);
        }
        float gate = 0.0f, up = 0.0f;
        if (at.warp < EMBD_WARPS) mx_gate_item(gate, up, from, x, at.warp, at.lane);
        ring.release(at.lane);
        if (at.warp < EMBD_WARPS && (at.lane & 3) == 0) {
            float* part = parts + (n * EMBD_WARPS + at.warp) * 16 + (at.lane >> 2);
            part[0] = gate, part[8] = up;
        }
        if (++n == GATE_BATCH) {
            gate_finish(args, n, gate_bias, up_bias, at);
            consumers_meet();
            n = 0;
        }
    }
    ring.release(at.lane);
    gate_finish(args, n, gate_bias, up_bias, at);
}

// The four experts' activations, polled straight into fragments: column slot and slot + 4.
__device__ __forceinline__ void down_vector(MxVector<FF_STEPS>& v, const u16* activated,
                                            const Place& at) {
    const int slot = (at.lane >> 2) & 3, t = at.lane & 3;
    const bool mine = (at.lane >> 4) == (t >> 1);
    const u16* from = activated + slot * FF + min(at.warp, FF_WARPS - 1) * FF_STEPS * 64 + 16 * t;
    u32 spins = 0;
    bool ready;
    do {
        ready = true;
#pragma unroll
        for (int j = 0; j < FF_STEPS; j++) {
            if (mine) {
                ready &= activated_take(from + 64 * j, v.x[j], at.epoch);
            } else {
#pragma unroll
                for (int i = 0; i < 8; i++) v.x[j][i] = 0;
            }
        }
        spun(spins);
    } while (!__all_sync(~0u, ready));
}

// Threads of a unit: slot * 4 + row. Adds the four experts to the residual in order.
__device__ __forceinline__ void down_finish(const DecodeArgs& args, int n, float bias, float* taps,
                                            const Place& at) {
    const int i = at.warp * 32 + at.lane, k = i / 16, slot = i / 4 % 4, row = i % 4;
    const int at_row = at.block * OWN + k * UNIT + row;
    float v = 0.0f;
    if (k < n) {
        const float* part = at.floats(S_PART) + k * FF_WARPS * 16 + i % 16;
#pragma unroll 5
        for (int w = 0; w < FF_WARPS; w++) v += part[w * 16];
        v = fmaf(v, MX_UNDO * ACT_UNDO, bias) * at.floats(S_ROUTE)[TOP_K + slot];
    }
    float h = k < n ? at.floats(S_OWN)[k * UNIT + row] : 0.0f;
#pragma unroll
    for (int s = 0; s < TOP_K; s++) h += __shfl_sync(~0u, v, (at.lane & 16) + s * 4 + row);
    const float next = __shfl_down_sync(~0u, h, 1);
    const bool have = k < n && slot == 0;
    if (have && !(row & 1))
        hidden_put(args.board->hidden_in + at_row / 2, h, next, at.epoch + 1);
    count_parts(args.board, HIDDEN_IN, min(2, n - at.warp * 2), at.lane);
    if (have) {
        at.floats(S_OWN)[k * UNIT + row] = h;
        if (taps) taps[at_row] = h;
    }
}

__device__ __forceinline__ void down(const DecodeArgs& args, const DecodeLayer& layer,
                                     Ring& ring, float* taps, const Place& at) {
    const int n = units_here(at), i = at.warp * 32 + at.lane, slot = i / 4 % 4;
    float bias = 0.0f;
    if (i / 16 < n) {
        const u32 id = ((const u32*)(at.shared + S_ROUTE))[slot];
        const int row = at.block * OWN + i / 16 * UNIT + i % 4;
        bias = __ldg(layer.down_bias + (u64)id * EMBD + row);
    }
    if (at.warp == WARPS - 1) await_parts(args.board, ACTIVATED, at.epoch * PARTS_ACTIVATED);
    consumers_meet();
    MxVector<FF_STEPS> x;
    down_vector(x, args.board->activated, at);
    for (int k = 0; k < n; k++) {
        const u32 item = ring.take();
        const int skew = (at.block * OWN_UNITS + k) * DOWN_SCALES & 15;
        float v = 0.0f;
        if (at.warp < FF_WARPS) v = mx_down_item(item, skew, x, at.warp, at.lane);
        ring.release(at.lane);
        const int g = at.lane >> 2, t = at.lane & 3;
        if (at.warp < FF_WARPS && t < 2)
            at.floats(S_PART)[(k * FF_WARPS + at.warp) * 16 + t * 8 + g] = v;
    }
    consumers_meet();
    if (at.warp < (n * 16 + 31) / 32) down_finish(args, n, bias, taps, at);
}
