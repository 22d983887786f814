// Attention of one new position over the cache: one KV head and up to 512 positions at a time.
//
// Every warp has 32 positions, aligned in absolute position, and all of a KV head's queries: scores
// are queries (rows) times keys (columns), the result is values (rows) times weights (columns), so
// the softmax weights need no shuffle in between. Warps are merged in order of position; so are
// chunks. What is merged depends on the position only, never on who computed it.
#pragma once
#include "decode_board.cuh"

constexpr float LOG2E = 1.4426950408889634f;

// Spreads consecutive items over blocks that are far apart.
constexpr int common(int a, int b) { return b ? common(b, a % b) : a; }
constexpr int coprime(int from) { return common(from, BLOCKS) == 1 ? from : coprime(from + 1); }
constexpr int ATTEND_STRIDE = coprime(BLOCKS * 3 / 4 + 2);

// A warp's keys and values as f16. Lane (g, t) has elements 16t .. 16t + 15 of the keys at
// positions g, g + 8, g + 16, g + 24; of the values it has elements 8g .. 8g + 7 at positions 2t,
// 2t + 1, 2t + 8, 2t + 9 and the same sixteen further. Once turned, word [b][i] of the values is
// element 8g + 2i of the first pair, 8g + 2i + 1 of it, then of the second pair: mma fragments.
struct Cached {
    uint4 k[4][2], v[2][4];
};

// Where in a ring of `capacity` positions the one `by` after ring place `start` is.
__device__ __forceinline__ u64 around(u32 start, u32 by, u32 capacity) {
    const u32 place = start + by < capacity ? start + by : start + by - capacity;
    return (u64)min(place, capacity - 1) * KV_WIDTH;     // a ring may be shorter than 32
}

__device__ __forceinline__ u64 cache_at(const DecodeLayer& layer, u32 slot, int kv_head) {
    return (u64)slot * layer.capacity * KV_WIDTH + kv_head * HEAD_DIM;
}

__device__ __forceinline__ uint4 eight(const u16* p) { return __ldcs((const uint4*)p); }

__device__ __forceinline__ uint4 eight(const float* p) {
    const float4 a = __ldcs((const float4*)p), b = __ldcs((const float4*)p + 1);
    return make_uint4(pack_f16(a.x, a.y), pack_f16(a.z, a.w), pack_f16(b.x, b.y),
                      pack_f16(b.z, b.w));
}

__device__ __forceinline__ void cache_load(Cached& c, const DecodeLayer& layer, u32 slot,
                                           int kv_head, u32 base, int lane) {
    const int g = lane >> 2, t = lane & 3;
    const u64 own = cache_at(layer, slot, kv_head);
    const Kv::Stored* keys = (const Kv::Stored*)layer.keys + own + 16 * t;
    const Kv::Stored* values = (const Kv::Stored*)layer.values + own + 8 * g;
    const u32 start = base % layer.capacity;
#pragma unroll
    for (int n = 0; n < 4; n++) {
        const Kv::Stored* row = keys + around(start, 8 * n + g, layer.capacity);
        c.k[n][0] = eight(row), c.k[n][1] = eight(row + 8);
    }
#pragma unroll
    for (int b = 0; b < 2; b++)
#pragma unroll
        for (int p = 0; p < 4; p++) {
            const u32 by = 16 * b + 2 * t + (p & 1) + (p & 2) * 4;
            c.v[b][p] = eight(values + around(start, by, layer.capacity));
        }
}

// Brings the same to L2: f32 would take more registers than there are until it is needed.
__device__ __forceinline__ void cache_touch(const DecodeLayer& layer, u32 slot, int kv_head,
                                            u32 base, int lane) {
    const u64 own = cache_at(layer, slot, kv_head) +
                    around(base % layer.capacity, lane, layer.capacity);
    for (int line = 0; line < HEAD_DIM; line += 128 / (int)sizeof(Kv::Stored)) {
        l2_prefetch((const Kv::Stored*)layer.keys + own + line);
        l2_prefetch((const Kv::Stored*)layer.values + own + line);
    }
}

__device__ __forceinline__ uint4 turned(u32 a, u32 b, u32 c, u32 d) {
    return make_uint4(prmt(a, b, 0x5410), prmt(a, b, 0x7632), prmt(c, d, 0x5410),
                      prmt(c, d, 0x7632));
}

__device__ __forceinline__ void cache_turn(Cached& c) {
#pragma unroll
    for (int b = 0; b < 2; b++) {
        const uint4 p = c.v[b][0], q = c.v[b][1], r = c.v[b][2], s = c.v[b][3];
        c.v[b][0] = turned(p.x, q.x, r.x, s.x), c.v[b][1] = turned(p.y, q.y, r.y, s.y);
        c.v[b][2] = turned(p.z, q.z, r.z, s.z), c.v[b][3] = turned(p.w, q.w, r.w, s.w);
    }
}

__device__ __forceinline__ void replace_if(bool hit, u32& word, u32 with, u32 keep) {
    word = hit ? (word & keep) | with : word;
}

// The newest position is not in the cache yet as far as this launch may know.
__device__ __forceinline__ void cache_patch(Cached& c, u32 smem, u32 base, u32 position, int lane) {
    const u32 in = position - base, g = lane >> 2, t = lane & 3;
    const u32 key = smem + S_QUERY + GROUP * HEAD_DIM * 2, value = key + HEAD_DIM * 2;
    const uint4 k0 = lds128(key + t * 32), k1 = lds128(key + t * 32 + 16);
#pragma unroll
    for (int n = 0; n < 4; n++) {
        const bool hit = in == 8 * n + g;
        replace_if(hit, c.k[n][0].x, k0.x, 0), replace_if(hit, c.k[n][0].y, k0.y, 0);
        replace_if(hit, c.k[n][0].z, k0.z, 0), replace_if(hit, c.k[n][0].w, k0.w, 0);
        replace_if(hit, c.k[n][1].x, k1.x, 0), replace_if(hit, c.k[n][1].y, k1.y, 0);
        replace_if(hit, c.k[n][1].z, k1.z, 0), replace_if(hit, c.k[n][1].w, k1.w, 0);
    }
    const u32 keep = in & 1 ? 0x0000ffffu : 0xffff0000u, shift = in & 1 ? 16 : 0;
    const bool value_lane = t == (in & 7) >> 1;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const u32 low = lds16(value + (8 * g + 2 * i) * 2) << shift;
        const u32 high = lds16(value + (8 * g + 2 * i + 1) * 2) << shift;
#pragma unroll
        for (int b = 0; b < 2; b++) {
            const bool first = value_lane && in >> 3 == 2 * b;
            const bool second = value_lane && in >> 3 == 2 * b + 1;
            replace_if(first, c.v[b][i].x, low, keep), replace_if(first, c.v[b][i].y, high, keep);
            replace_if(second, c.v[b][i].z, low, keep), replace_if(second, c.v[b][i].w, high, keep);
        }
    }
}

// Values of positions that the row does not see count as zero: whatever is there may be no number.
__device__ __forceinline__ void cache_mask(Cached& c, u32 base, u32 first, u32 position, int lane) {
#pragma unroll
    for (int b = 0; b < 2; b++) {
        u32 keep[2];
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const u32 p = base + 16 * b + 8 * half + 2 * (lane & 3);
            keep[half] = (p >= first && p <= position ? 0x0000ffffu : 0) |
                         (p + 1 >= first && p + 1 <= position ? 0xffff0000u : 0);
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
            c.v[b][i].x &= keep[0], c.v[b][i].y &= keep[0];
            c.v[b][i].z &= keep[1], c.v[b][i].w &= keep[1];
        }
    }
}

// Scores, weights and weighted values of this warp's 32 positions, left in shared memory:
// out[warp][head][dim], then max[warp][head], sum[warp][head].
__device__ __forceinline__ void attend_warp(const Cached& c, u32 base, u32 first, u32 position,
                                            const Place& at) {
    const int g = at.lane >> 2, t = at.lane & 3;
    const u32 query = at.smem + S_QUERY + g * HEAD_DIM * 2 + t * 32;
    const uint4 q0 = lds128(query), q1 = lds128(query + 16);
    float s[4][2];
#pragma unroll
    for (int n = 0; n < 4; n++) {
        float d[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        mma_f16(d, q0.x, 0, q0.y, 0, c.k[n][0].x, c.k[n][0].y);
        mma_f16(d, q0.z, 0, q0.w, 0, c.k[n][0].z, c.k[n][0].w);
        mma_f16(d, q1.x, 0, q1.y, 0, c.k[n][1].x, c.k[n][1].y);
        mma_f16(d, q1.z, 0, q1.w, 0, c.k[n][1].z, c.k[n][1].w);
#pragma unroll
        for (int x = 0; x < 2; x++) {
            const u32 p = base + 8 * n + 2 * t + x;
            s[n][x] = p >= first && p <= position ? d[x] : -infinity();
        }
    }
    float top = s[0][0];
#pragma unroll
    for (int n = 0; n < 4; n++) top = fmaxf(top, fmaxf(s[n][0], s[n][1]));
    top = fmaxf(top, __shfl_xor_sync(~0u, top, 1));
    top = fmaxf(top, __shfl_xor_sync(~0u, top, 2));
    float sum = 0.0f;
    u32 p[4];
#pragma unroll
    for (int n = 0; n < 4; n++) {
        const float a = exp2f(s[n][0] - top), b = exp2f(s[n][1] - top);
        sum += a + b;
        p[n] = pack_f16(a, b);
    }
    sum = quad_sum(sum);
    float* out = at.floats(S_WORK) + at.warp * GROUP * HEAD_PAD;
    float* stats = at.floats(S_WORK) + WARPS * GROUP * HEAD_PAD + at.warp * GROUP * 2;
    if (t == 0) stats[2 * g] = top, stats[2 * g + 1] = sum;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        float d[4] = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll
        for (int b = 0; b < 2; b++)
            mma_f16(d, c.v[b][i].x, c.v[b][i].y, c.v[b][i].z, c.v[b][i].w, p[2 * b], p[2 * b + 1]);
        float* to = out + 2 * t * HEAD_PAD + 8 * g + 2 * i;
        to[0] = d[0], to[HEAD_PAD] = d[1], to[1] = d[2], to[HEAD_PAD + 1] = d[3];
    }
}

// The queries of this KV head (scaled for a base-2 softmax), the new key and the new value: as f16
// into shared memory.
__device__ __forceinline__ void attend_inputs(const Blackboard* board, int kv_head,
                                              const Place& at) {
    const int i = at.warp * 32 + at.lane;
    u16* to = (u16*)(at.shared + S_QUERY);
    const float scale = LOG2E * 0.125f;                  // 1 / sqrt(64)
    const u64* query = board->qkv + kv_head * GROUP * HEAD_DIM + i;
    const int pair = i % (2 * HEAD_DIM);                 // of the new key, then of the new value
    const u64* other = board->qkv + pair % HEAD_DIM +
                       (HEADS + pair / HEAD_DIM * KV_HEADS + kv_head) * HEAD_DIM;
    u32 spins = 0;
    uint2 q, kv;
    do {
        q = shared_ld64(query), kv = shared_ld64(other);
        spun(spins);
    } while (q.y != at.epoch || kv.y != at.epoch);
    to[i] = f16_of_f32(__uint_as_float(q.x) * scale);
    if (i < 2 * HEAD_DIM) to[GROUP * HEAD_DIM + i] = f16_of_f32(__uint_as_float(kv.x));
}

__device__ __forceinline__ void attended_put(Blackboard* board, int head, int dim, float v,
                                             const Place& at) {
    const float next = __shfl_down_sync(~0u, v, 1);
    if (!(dim & 1)) shared_st64(board->attended + (head * HEAD_DIM + dim) / 2, pack_f16(v, next),
                                at.epoch);
}

// Merges the warps' results, lane w holding what warp w counts. A head that lies in one item is
// finished here; otherwise the chunk's share goes to `partial`.
__device__ __forceinline__ void attend_merge(const DecodeArgs& args, const DecodeLayer& layer,
                                             int kv_head, int warps, u64* partial,
                                             const Place& at) {
    const int i = at.warp * 32 + at.lane, head = i / HEAD_DIM, dim = i % HEAD_DIM;
    const float* out = at.floats(S_WORK) + head * HEAD_PAD + dim;
    const float* stats = at.floats(S_WORK) + WARPS * GROUP * HEAD_PAD + head * 2;
    const int whole = kv_head * GROUP + head;
    const float sink = partial ? -infinity() : __ldg(layer.sinks + whole) * LOG2E;
    const bool mine = at.lane < warps;
    float own = mine ? stats[at.lane * GROUP * 2] : -infinity(), top = fmaxf(own, sink);
    float sum = mine ? stats[at.lane * GROUP * 2 + 1] : 0.0f;
#pragma unroll
    for (int o = 16; o; o >>= 1) top = fmaxf(top, __shfl_xor_sync(~0u, top, o));
    const float weight = exp2f(own - top);
    sum = warp_sum(weight * sum);
    float v = 0.0f;
#pragma unroll 4
    for (int w = 0; w < warps; w++)
        v = fmaf(__shfl_sync(~0u, weight, w), out[w * GROUP * HEAD_PAD], v);
    if (partial) {
        u64* to = partial + whole * (HEAD_DIM + 2);
        float_put(to + dim, v, at.epoch);
        if (dim == 0) float_put(to + HEAD_DIM, top, at.epoch);
        if (dim == 1) float_put(to + HEAD_DIM + 1, sum, at.epoch);
    } else {
        attended_put(args.board, whole, dim, v / (sum + exp2f(sink - top)), at);
    }
}

// Adds up one head's chunks: eight groups of 64 threads take every eighth chunk, then are merged.
__device__ __forceinline__ void attend_combine(const DecodeArgs& args, const DecodeLayer& layer,
                                               int head, int chunks, const Place& at) {
    const int i = at.warp * 32 + at.lane, group = i / HEAD_DIM, dim = i % HEAD_DIM;
    float top = -infinity(), sum = 0.0f, v = 0.0f;
    for (int c = group; c < chunks; c += GROUP) {
        const u64* from = args.partial + ((u64)c * HEADS + head) * (HEAD_DIM + 2);
        const float m = float_take(from + HEAD_DIM, at.epoch);
        const float s = float_take(from + HEAD_DIM + 1, at.epoch);
        const float x = float_take(from + dim, at.epoch), next = fmaxf(top, m);
        const float keep = exp2f(top - next), add = exp2f(m - next);
        sum = sum * keep + s * add;
        v = v * keep + x * add;
        top = next;
    }
    float* out = at.floats(S_WORK);
    consumers_meet();
    out[i] = v;
    if (dim == 0) out[CONSUMERS + 2 * group] = top, out[CONSUMERS + 2 * group + 1] = sum;
    consumers_meet();
    if (group == 0) {
        const float sink = layer.sinks[head] * LOG2E;
        float all = sink;
        for (int k = 0; k < GROUP; k++) all = fmaxf(all, out[CONSUMERS + 2 * k]);
        float total = exp2f(sink - all), value = 0.0f;
        for (int k = 0; k < GROUP; k++) {
            const float w = exp2f(out[CONSUMERS + 2 * k] - all);
            total = fmaf(w, out[CONSUMERS + 2 * k + 1], total);
            value = fmaf(w, out[k * HEAD_DIM + dim], value);
        }
        attended_put(args.board, head, dim, value / total, at);
    }
}

// What the row sees, and in which pieces: a windowed layer's few positions are one chunk.
struct Seen {
    u32 first, start, base;
    int chunks, warps;

    __device__ __forceinline__ Seen(const DecodeLayer& layer, u32 position, int chunk, int warp) {
        const u32 window = layer.window;
        first = window && position + 1 > window ? position + 1 - window : 0;
        chunks = window ? 1 : position / CHUNK + 1;
        start = window ? first & ~31u : chunk * CHUNK;
        base = start + 32 * warp;
        warps = min(WARPS, (int)(position - start) / 32 + 1);
    }
};

// One KV head and one chunk.
__device__ __forceinline__ void attend_item(const DecodeArgs& args, const DecodeLayer& layer,
                                            const DecodeStep& step, int item, Place& at) {
    const bool early = sizeof(Kv::Stored) == 2;
    Cached cached = {};
    {
        const Seen seen(layer, step.row.position, item / KV_HEADS, at.warp);
        if (at.warp < seen.warps && early)
            cache_load(cached, layer, step.row.slot, item % KV_HEADS, seen.base, at.lane);
        else if (at.warp < seen.warps)
            cache_touch(layer, step.row.slot, item % KV_HEADS, seen.base, at.lane);
    }
    attend_inputs(args.board, item % KV_HEADS, at);
    consumers_meet();                                    // also: the last item's S_WORK was read
    at.again();
    {
        const u32 position = step.row.position;
        const Seen seen(layer, position, item / KV_HEADS, at.warp);
        if (at.warp < seen.warps) {
            if (!early)
                cache_load(cached, layer, step.row.slot, item % KV_HEADS, seen.base, at.lane);
            cache_turn(cached);
            if (position - seen.base < 32u)
                cache_patch(cached, at.smem, seen.base, position, at.lane);
            if (seen.base < seen.first || position - seen.base < 31u)
                cache_mask(cached, seen.base, seen.first, position, at.lane);
            attend_warp(cached, seen.base, seen.first, position, at);
        }
    }
    consumers_meet();
    at.again();
    const Seen seen(layer, step.row.position, item / KV_HEADS, at.warp);
    u64* partial = args.partial + (u64)(item / KV_HEADS) * HEADS * (HEAD_DIM + 2);
    attend_merge(args, layer, item % KV_HEADS, seen.warps, seen.chunks == 1 ? nullptr : partial,
                 at);
}

// All of a block's attention in one layer.
__device__ __forceinline__ void attend(const DecodeArgs& args, const DecodeLayer& layer,
                                       const DecodeStep& step, Place& at) {
    const int chunks = layer.window ? 1 : step.row.position / CHUNK + 1;
    const int turn = at.block * ATTEND_STRIDE % BLOCKS;
    for (int i = turn; i < chunks * KV_HEADS; i += BLOCKS) attend_item(args, layer, step, i, at);
    if (chunks > 1)
        for (int head = turn; head < HEADS; head += BLOCKS)
            attend_combine(args, layer, head, chunks, at);
}
