// The dense phases of a decode step: project_qkv with RoPE and cache append, the output projection
// with the residual and the router's shares, and the head with its argmax.
#pragma once
#include "decode_attend.cuh"
#include "decode_q8.cuh"
#include "decode_ring.cuh"

constexpr int EMBD_STEPS = EMBD / 64 / EMBD_WARPS;       // two parts of a warp's share of K
constexpr int ATTN_STEPS = ATTN / 128 / ATTN_WARPS;      // four parts

// This lane's hidden values of the embedding row of `token`.
__device__ __forceinline__ void embed(const u8* table, u32 token, float (&h)[PER_LANE],
                                      const Place& at) {
    const u8* row = table + (u64)token * (EMBD / 32 * 34);
#pragma unroll
    for (int i = 0; i < PER_LANE; i++) {
        const int k = at.warp * SLICE + at.lane * PER_LANE + i;
        const u8* block = row + k / 32 * 34;
        h[i] = f32_of_f16(*(const u16*)block) * (float)(signed char)block[2 + k % 32];
    }
}

__device__ __forceinline__ void embed_own(const u8* table, u32 token, const Place& at) {
    const int i = at.warp * 32 + at.lane, k = at.block * OWN + i;
    if (i >= OWN || k >= EMBD) return;
    const u8* block = table + (u64)token * (EMBD / 32 * 34) + k / 32 * 34;
    at.floats(S_OWN)[i] = f32_of_f16(*(const u16*)block) * (float)(signed char)block[2 + k % 32];
}

// Row of the projection that thread `r` of item `item` has. An item is four rotation pairs of one
// head: rows d .. d + 3 and d + 32 .. d + 35.
__device__ __forceinline__ int qkv_row(int item, int r) {
    return item / 8 * HEAD_DIM + item % 8 * 4 + (r & 3) + (r & 4) * 8;
}

__device__ __forceinline__ void qkv_finish(const DecodeArgs& args, const DecodeLayer& layer,
                                           const DecodeStep& step, int n, float bias,
                                           const Place& at) {
    const int i = at.warp * 32 + at.lane, r = i & 7;
    const int item = at.block + i / 8 * BLOCKS;
    float v = 0.0f;
    if (i / 8 < n) {
        const float* part = at.floats(S_WORK) + i / 8 * EMBD_WARPS * 8 + r;
#pragma unroll
        for (int w = 0; w < EMBD_WARPS; w++) v += part[w * 8];
        v = v * Q8_UNDO + bias;
    }
    const float other = __shfl_xor_sync(~0u, v, 4);
    if (i / 8 >= n) return;
    const int head = item / 8, d = item % 8 * 4 + (r & 3), dim = d + (r & 4) * 8;
    if (head < HEADS + KV_HEADS) {
        const float c = step.cosines[d], s = step.sines[d];
        v = r & 4 ? fmaf(v, c, other * s) : fmaf(v, c, -other * s);
    }
    float_put(args.board->qkv + head * HEAD_DIM + dim, v, at.epoch);
    if (head < HEADS) return;
    void* cache = head < HEADS + KV_HEADS ? layer.keys : layer.values;
    const u64 at_row = kv_at(step.row.slot, step.row.position, layer.capacity, KV_WIDTH);
    ((Kv::Stored*)cache)[at_row + (head - HEADS) % KV_HEADS * HEAD_DIM + dim] = Kv::stored(v);
}

__device__ __forceinline__ void project_qkv(const DecodeArgs& args, const DecodeLayer& layer,
                                            const DecodeStep& step, Ring& ring, const Place& at) {
    const int n = items_here(QKV_ITEMS, at), i = at.warp * 32 + at.lane;
    float bias = 0.0f;
    if (i / 8 < n) bias = __ldg(layer.qkv_bias + qkv_row(at.block + i / 8 * BLOCKS, i & 7));
    Q8Vector<EMBD_STEPS> x = {};
    if (at.warp < EMBD_WARPS) q8_vector<EMBD_STEPS, 2>(x, at.smem + S_X, at.warp, at.lane);
    for (int k = 0; k < n; k++) {
        const u32 item = ring.take();
        float acc[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        if (at.warp < EMBD_WARPS)
            q8_item<EMBD_STEPS, 2, EMBD_WARPS>(acc, item, x, at.warp, at.lane);
        ring.release(at.lane);
        if (at.warp < EMBD_WARPS && (at.lane & 3) == 0)
            at.floats(S_WORK)[(k * EMBD_WARPS + at.warp) * 8 + (at.lane >> 2)] = q8_row_of_8(acc);
    }
    consumers_meet();
    if (at.warp < (n * 8 + 31) / 32) qkv_finish(args, layer, step, n, bias, at);
}

// The attention's output, polled straight into fragments.
__device__ __forceinline__ void out_vector(Q8Vector<ATTN_STEPS>& v, const u64* attended,
                                           const Place& at) {
    const int part = (at.lane >> 2) & 3, t = at.lane & 3;
    const int warp = min(at.warp, ATTN_WARPS - 1);       // idle warps take the last one's
    const u64* from = attended + (warp * 4 + part) * ATTN_STEPS * 16 + 4 * t;
    await_word(attended + warp * 4 * ATTN_STEPS * 16, at.epoch);
    u32 spins = 0;
    bool ready;
    do {
        ready = true;
#pragma unroll
        for (int j = 0; j < ATTN_STEPS; j++) {
            const uint4 p = shared_ld128(from + j * 16), q = shared_ld128(from + j * 16 + 2);
            ready &= p.y == at.epoch && p.w == at.epoch && q.y == at.epoch && q.w == at.epoch;
            v.x[j][0] = p.x, v.x[j][1] = p.z, v.x[j][2] = q.x, v.x[j][3] = q.z;
        }
        spun(spins);
    } while (!__all_sync(~0u, ready));
    q8_starts(v);
}

// The new residual of this lane's row: partial sums, bias, what was there before.
__device__ __forceinline__ float out_row(float bias, bool have, const Place& at) {
    if (!have) return 0.0f;
    const float* part = at.floats(S_PART) + at.lane / UNIT * ATTN_WARPS * UNIT + at.lane % UNIT;
    float v = 0.0f;
#pragma unroll
    for (int w = 0; w < ATTN_WARPS; w++) v += part[w * UNIT];
    return at.floats(S_OWN)[at.lane] + (v * Q8_UNDO + bias);
}

// Warp 0 publishes the residual; warp 1 this block's share of every expert's logit, before the
// common factor of the norm.
__device__ __forceinline__ void out_finish(const DecodeArgs& args, float bias, float norm, int n,
                                           float* taps, const Place& at) {
    const bool have = at.lane < n * UNIT;
    const int row = at.block * OWN + at.lane;
    const float h = out_row(bias, have, at);
    if (at.warp == 0) {
        const float next = __shfl_down_sync(~0u, h, 1);
        if (have && !(at.lane & 1))
            hidden_put(args.board->hidden_mid + row / 2, h, next, at.epoch);
        count_parts(args.board, HIDDEN_MID, 1, at.lane);
        if (have && taps) taps[row] = h;
    } else {
        const float* weights = at.floats(S_ROUTER) + at.lane;
        const float x = h * norm;
        float even = 0.0f, odd = 0.0f;
#pragma unroll
        for (int r = 0; r < OWN; r += 2) {
            even = fmaf(__shfl_sync(~0u, x, r), weights[r * EXPERTS], even);
            odd = fmaf(__shfl_sync(~0u, x, r + 1), weights[(r + 1) * EXPERTS], odd);
        }
        float_put(&args.board->router[at.block][at.lane], even + odd, at.epoch);
    }
    // Both have read what was there before.
    consumers_pair();
    if (at.warp == 0 && have) at.floats(S_OWN)[at.lane] = h;
}

__device__ __forceinline__ void project_out(const DecodeArgs& args, const DecodeLayer& layer,
                                            Ring& ring, float* taps, const Place& at) {
    const int n = units_here(at), row = at.block * OWN + at.lane;
    const bool have = at.warp < 2 && at.lane < n * UNIT;
    const float bias = have ? __ldg(layer.out_bias + row) : 0.0f;
    const float norm = have ? __ldg(layer.ffn_norm + row) : 0.0f;
    for (int r = at.warp; r < n * UNIT; r += WARPS)
        at.floats(S_ROUTER)[r * EXPERTS + at.lane] =
            __ldg(layer.router + at.lane * EMBD + at.block * OWN + r);
    Q8Vector<ATTN_STEPS> x;
    out_vector(x, args.board->attended, at);
    for (int k = 0; k < n; k++) {
        const u32 item = ring.take();
        float acc[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        if (at.warp < ATTN_WARPS)
            q8_item<ATTN_STEPS, 4, ATTN_WARPS>(acc, item, x, at.warp, at.lane);
        ring.release(at.lane);
        const float v = q8_row_of_4(acc, at.lane);
        if (at.warp < ATTN_WARPS && (at.lane & 0x13) == 0)
            at.floats(S_PART)[(k * ATTN_WARPS + at.warp) * UNIT + (at.lane >> 2)] = v;
    }
    consumers_meet();
    if (at.warp < 2 && n) out_finish(args, bias, norm, n, taps, at);
}

struct Best {
    float logit;
    u32 row;
};

// The larger logit; of equals the lower row.
__device__ __forceinline__ Best better(Best a, Best b) {
    return b.logit > a.logit || (b.logit == a.logit && b.row < a.row) ? b : a;
}

__device__ __forceinline__ Best best_of_warp(Best b) {
#pragma unroll
    for (int o = 16; o; o >>= 1)
        b = better(b, Best{__shfl_xor_sync(~0u, b.logit, o), __shfl_xor_sync(~0u, b.row, o)});
    return b;
}

// The logits of a batch of items, and which is the best.
__device__ __forceinline__ Best head_finish(const DecodeArgs& args, const float* part, int count,
                                            u32 item, float failed, Best best, const Place& at) {
    const int i = at.warp * 32 + at.lane;
    if (i >= count * 8) return best;
    float v = 0.0f;
#pragma unroll
    for (int w = 0; w < EMBD_WARPS; w++) v += part[(i / 8 * EMBD_WARPS + w) * 8 + i % 8];
    const u32 row = item * 8 + i % 8;
    v = v * Q8_UNDO + failed;                            // what is no number stays none
    if (args.logits) args.logits[row] = v;
    return better(best, Best{v, row});
}

// Logits of this block's items; the best of each thread's rows.
__device__ __forceinline__ Best head_items(const DecodeArgs& args, Ring& ring, const Place& at) {
    static_assert(HEAD_BATCH * 8 <= 64, "two warps finish a batch");
    Q8Vector<EMBD_STEPS> x = {};
    if (at.warp < EMBD_WARPS) q8_vector<EMBD_STEPS, 2>(x, at.smem + S_X, at.warp, at.lane);
    const float failed = shared_ld32(&args.board->failed) ? __uint_as_float(0x7fffffffu) : 0.0f;
    Best best = {-infinity(), 0xffffffffu};
    u32 mine = 0, item = 0;
    for (int batch = 0; item != NO_ITEM; batch ^= 1) {
        float* part = at.floats(S_WORK) + batch * HEAD_BATCH * EMBD_WARPS * 8;
        int count = 0;
        while (count < HEAD_BATCH) {
            const u32 from = ring.take();
            item = ring.note();
            if (item == NO_ITEM) break;
            if ((at.warp * 32 + at.lane) / 8 == count) mine = item;
            float acc[4] = {0.0f, 0.0f, 0.0f, 0.0f};
            if (at.warp < EMBD_WARPS)
                q8_item<EMBD_STEPS, 2, EMBD_WARPS>(acc, from, x, at.warp, at.lane);
            ring.release(at.lane);
            if (at.warp < EMBD_WARPS && (at.lane & 3) == 0)
                part[(count * EMBD_WARPS + at.warp) * 8 + (at.lane >> 2)] = q8_row_of_8(acc);
            count++;
        }
        consumers_meet();
        best = head_finish(args, part, count, mine, failed, best, at);
    }
    ring.release(at.lane);
    return best;
}

// The best id of all blocks; block 0 makes it the next step's token.
__device__ __forceinline__ void pick(const DecodeArgs& args, Best best, const Place& at) {
    Best* shared = (Best*)(at.shared + S_WORK);
    best = best_of_warp(best);
    consumers_meet();
    if (at.lane == 0) shared[at.warp] = best;
    consumers_meet();
    if (at.warp != 0) return;
    best = best_of_warp(at.lane < WARPS ? shared[at.lane] : Best{-infinity(), 0xffffffffu});
    if (at.lane == 0) {
        float_put(&args.board->best[at.block][0], best.logit, at.epoch);
        shared_st64(&args.board->best[at.block][1], best.row, at.epoch);
    }
    if (at.block != 0) return;
    best = Best{-infinity(), 0xffffffffu};
    for (int b = at.lane; b < BLOCKS; b += 32) {
        const float logit = float_take(&args.board->best[b][0], at.epoch);
        const u32 row = __float_as_uint(float_take(&args.board->best[b][1], at.epoch));
        best = better(best, Best{logit, row});
    }
    best = best_of_warp(best);
    if (at.lane != 0) return;
    const bool none = best.row >= VOCAB;
    *args.picked = none ? 0 : best.row;
    if (args.told) *(volatile u32*)args.told = none ? 0xfffffffeu : best.row;
}
