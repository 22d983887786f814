// Attention of rows of a prompt over what is kept of their sequence, on tensor cores: queries,
// keys, shares and values are rounded to tf32, which has f16's 11 bits and f32's range, and summed
// in f32. A block takes up to 128 pairs of a row and one of the query heads that share a key head,
// so that keys and values are read once for all of them.
//
// Positions come in tiles of 64 that start at multiples of 64, whoever looks. A tile that a row
// does not see adds zeros to its sums and changes nothing, so its bits follow from its position and
// window alone: not from the rows beside it.
#include "exp.cuh"
#include "kv.cuh"
#include "step.cuh"

constexpr int THREADS = 256, PAIRS = 128, TILE = 64;
constexpr float LOG2_E = 1.44269504f;

__device__ __forceinline__ float least() { return __uint_as_float(0xFF800000); }

// Rows that follow one another in one sequence: `count` from `first` on.
struct Run {
    u32 first, count;
};

struct Heads {
    u32 heads, kv_heads, window, capacity;
    float scale;
};

__device__ __forceinline__ float tf32(float x) {
    u32 bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return __uint_as_float(bits);
}

__device__ __forceinline__ void mma(float (&d)[4], const float *a, float b0, float b1) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])),
          "r"(__float_as_uint(a[3])), "r"(__float_as_uint(b0)), "r"(__float_as_uint(b1)));
}

// The largest of a row, over the four lanes that hold it. Not what is no number: that stays in the
// sum.
__device__ __forceinline__ float quad_most(float x) {
    x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
    return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
}
__device__ __forceinline__ float quad_sum(float x) {
    x += __shfl_xor_sync(0xffffffffu, x, 1);
    return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

template <class Kv>
__device__ __forceinline__ float4 four(const typename Kv::Stored *at);
template <>
__device__ __forceinline__ float4 four<KvF32>(const float *at) {
    return *reinterpret_cast<const float4 *>(at);
}
template <>
__device__ __forceinline__ float4 four<KvF16>(const u16 *at) {
    uint2 all = *reinterpret_cast<const uint2 *>(at);
    return {f32_of_f16(static_cast<u16>(all.x)), f32_of_f16(static_cast<u16>(all.x >> 16)),
            f32_of_f16(static_cast<u16>(all.y)), f32_of_f16(static_cast<u16>(all.y >> 16))};
}

__device__ __forceinline__ float4 tf32(float4 v) {
    return {tf32(v.x), tf32(v.y), tf32(v.z), tf32(v.w)};
}

// The rows of a block, and what of them is this lane's: two pairs of a row and a head.
struct Own {
    u32 slot, kv_head, start, end;
    u32 position[2], seen[2];
    u64 at[2];
    bool there[2];
    float top[2], sum[2];
};

// Which rows: the last tiles of a run see most, so they start first.
__device__ __forceinline__ Own own_rows(const Row *rows, const Run *runs, u32 n_runs,
                                        const float *sinks, const Heads &at, u32 dim) {
    const u32 group = at.heads / at.kv_heads, each = PAIRS / group;
    u32 tile = gridDim.x - 1 - blockIdx.x, run = 0;
    while (run + 1 < n_runs && tile >= (runs[run].count + each - 1) / each) {
        tile -= (runs[run].count + each - 1) / each, run++;
    }
    const u32 first = runs[run].first + tile * each;
    const u32 count = min(each, runs[run].count - tile * each);
    const u32 low = rows[first].position;
    Own own;
    own.slot = rows[first].slot, own.kv_head = blockIdx.y, own.end = low + count;
    own.start = at.window && low + 1 > at.window ? low + 1 - at.window : 0;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        u32 pair = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4 + 8 * i, row = pair / group;
        own.there[i] = row < count;
        row = own.there[i] ? row : count - 1;
        u32 head = own.kv_head * group + pair % group, past = low + row + 1;
        own.position[i] = past - 1;
        own.seen[i] = at.window && past > at.window ? past - at.window : 0;
        own.at[i] = (static_cast<u64>(first + row) * at.heads + head) * dim;
        // A sink takes its share and gives nothing: it is counted once, before all positions.
        own.top[i] = sinks ? sinks[head] * LOG2_E : least();
        own.sum[i] = sinks && threadIdx.x % 4 == 0 ? 1.0f : 0.0f;
    }
    return own;
}

// Keys and values of a tile on their way to shared memory, a part of each in every thread. Lines
// have strides for which the lanes of a phase meet all banks.
template <class Kv, int DIM>
struct Tiles {
    static constexpr int K_STRIDE = DIM + 16, V_STRIDE = DIM + 4, FOURS = DIM / 4;
    static constexpr int EACH = TILE * FOURS / THREADS;
    // Small heads leave registers for the tile that comes next.
    static constexpr bool AHEAD = DIM <= 64;
    const typename Kv::Stored *keys, *values;
    float *k, *v;
    u32 slot, start, end, capacity, width, column;
    float4 next_k[AHEAD ? EACH : 1], next_v[AHEAD ? EACH : 1];

    __device__ __forceinline__ void ask(u32 from, int e, float4 &a, float4 &b) const {
        u32 i = threadIdx.x + e * THREADS, where = from + i / FOURS;
        a = b = {0.0f, 0.0f, 0.0f, 0.0f};
        // What is not there, or no longer, may hold anything.
        if (where < start || where >= end) return;
        u64 place = kv_at(slot, where, capacity, width) + column + i % FOURS * 4;
        a = four<Kv>(keys + place);
        b = four<Kv>(values + place);
    }
    __device__ __forceinline__ void put(int e, float4 a, float4 b) const {
        u32 i = threadIdx.x + e * THREADS, j = i / FOURS, d = i % FOURS * 4;
        *reinterpret_cast<float4 *>(k + j * K_STRIDE + d) = tf32(a);
        *reinterpret_cast<float4 *>(v + j * V_STRIDE + d) = tf32(b);
    }
    __device__ __forceinline__ void begin(u32 from) {
        if (!AHEAD) return;
#pragma unroll
        for (int e = 0; e < EACH; e++) ask(from, e, next_k[e], next_v[e]);
    }
    // The tile from `from` on stands in shared memory, the next one is on its way.
    __device__ __forceinline__ void move(u32 from) {
        __syncthreads();
        if (AHEAD) {
#pragma unroll
            for (int e = 0; e < EACH; e++) put(e, next_k[e], next_v[e]);
        } else {
            for (int e = 0; e < EACH; e++) {
                float4 a, b;
                ask(from, e, a, b);
                put(e, a, b);
            }
        }
        __syncthreads();
        if (from + TILE < end) begin(from + TILE);
    }
};

typedef float Scores[TILE / 8][4];

// s = queries · keys of a tile.
template <class T, int DIM>
__device__ __forceinline__ void score(Scores &s, const T &tiles, const float (&q)[DIM / 8][4]) {
    const u32 g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
    for (int kk = 0; kk < DIM / 16; kk++) {
#pragma unroll
        for (int n = 0; n < TILE / 8; n++) {
            float4 k = *reinterpret_cast<const float4 *>(tiles.k + (8 * n + g) * T::K_STRIDE +
                                                         16 * kk + 4 * t);
            mma(s[n], q[2 * kk], k.x, k.y);
            mma(s[n], q[2 * kk + 1], k.z, k.w);
        }
    }
}

// Scores of row `i` of the lane become parts of its softmax; returns what everything before is
// multiplied with. What a row does not see takes no part, and a tile of such changes nothing.
__device__ __forceinline__ float fold(Scores &s, Own &own, int i, u32 from) {
    const u32 t = threadIdx.x % 4;
    float most = own.top[i];
#pragma unroll
    for (int n = 0; n < TILE / 8; n++) {
#pragma unroll
        for (int e = 2 * i; e < 2 * i + 2; e++) {
            u32 where = from + 8 * n + 2 * t + e % 2;
            if (where < own.seen[i] || where > own.position[i]) s[n][e] = least();
            most = fmaxf(most, s[n][e]);
        }
    }
    most = quad_most(most);
    const float less = most == least() ? 0.0f : most;
    const float before = exp2_of_negative(own.top[i] - less);
    own.top[i] = most;
    own.sum[i] *= before;
#pragma unroll
    for (int n = 0; n < TILE / 8; n++) {
#pragma unroll
        for (int e = 2 * i; e < 2 * i + 2; e++) {
            s[n][e] = tf32(exp2_of_negative(s[n][e] - less));
            own.sum[i] += s[n][e];
        }
    }
    return before;
}

// sums += shares · values of a tile.
template <class T, int DIM>
__device__ __forceinline__ void gather(float (&sums)[DIM / 8][4], const T &tiles,
                                       const Scores &s) {
    const u32 g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
    for (int n = 0; n < TILE / 8; n++) {
        const float shares[4] = {s[n][0], s[n][2], s[n][1], s[n][3]};
        const float *at = tiles.v + (8 * n + 2 * t) * T::V_STRIDE + 4 * g;
#pragma unroll
        for (int dd = 0; dd < DIM / 32; dd++) {
            float4 v0 = *reinterpret_cast<const float4 *>(at + 32 * dd);
            float4 v1 = *reinterpret_cast<const float4 *>(at + T::V_STRIDE + 32 * dd);
            mma(sums[4 * dd], shares, v0.x, v1.x);
            mma(sums[4 * dd + 1], shares, v0.y, v1.y);
            mma(sums[4 * dd + 2], shares, v0.z, v1.z);
            mma(sums[4 * dd + 3], shares, v0.w, v1.w);
        }
    }
}

// Column 2t of four products is element 8t .. + 4 of 32, column 2t + 1 the four after.
template <int DIM>
__device__ __forceinline__ void finish(float *out, const float (&sums)[DIM / 8][4],
                                       const Own &own) {
#pragma unroll
    for (int i = 0; i < 2; i++) {
        float all = quad_sum(own.sum[i]);
        // A row that sees nothing gives nothing.
        float share = all == 0.0f ? 0.0f : 1.0f / all;
        if (!own.there[i]) continue;
#pragma unroll
        for (int dd = 0; dd < DIM / 32; dd++) {
#pragma unroll
            for (int e = 2 * i; e < 2 * i + 2; e++) {
                float *to = out + own.at[i] + 32 * dd + 8 * (threadIdx.x % 4) + 4 * (e % 2);
                *reinterpret_cast<float4 *>(to) = {
                    sums[4 * dd][e] * share, sums[4 * dd + 1][e] * share,
                    sums[4 * dd + 2][e] * share, sums[4 * dd + 3][e] * share};
            }
        }
    }
}

template <class Kv, int DIM>
__device__ void attend(float *out, const float *queries, const typename Kv::Stored *keys,
                       const typename Kv::Stored *values, const float *sinks, const Row *rows,
                       const Run *runs, u32 n_runs, Heads at) {
    typedef Tiles<Kv, DIM> T;
    extern __shared__ __align__(16) float shared[];
    Own own = own_rows(rows, runs, n_runs, sinks, at, DIM);
    T tiles = {keys,
               values,
               shared,
               shared + TILE * T::K_STRIDE,
               own.slot,
               own.start,
               own.end,
               at.capacity,
               at.kv_heads * DIM,
               own.kv_head * DIM};
    float q[DIM / 8][4];
#pragma unroll
    for (int kk = 0; kk < DIM / 16; kk++) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const float *from = queries + own.at[i] + 16 * kk + 4 * (threadIdx.x % 4);
            const float4 v = *reinterpret_cast<const float4 *>(from);
            const float scale = at.scale * LOG2_E;
            q[2 * kk][i] = tf32(v.x * scale), q[2 * kk][i + 2] = tf32(v.y * scale);
            q[2 * kk + 1][i] = tf32(v.z * scale), q[2 * kk + 1][i + 2] = tf32(v.w * scale);
        }
    }
    float sums[DIM / 8][4] = {};
    u32 from = own.start / TILE * TILE;
    tiles.begin(from);
    for (; from < own.end; from += TILE) {
        tiles.move(from);
        Scores s = {};
        score<T, DIM>(s, tiles, q);
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const float before = fold(s, own, i, from);
#pragma unroll
            for (int n = 0; n < DIM / 8; n++) {
                sums[n][2 * i] *= before, sums[n][2 * i + 1] *= before;
            }
        }
        gather<T, DIM>(sums, tiles, s);
    }
    finish<DIM>(out, sums, own);
}

#define ATTEND(KV, STORED, NAME, DIM)                                                            \
    extern "C" __global__ void __launch_bounds__(THREADS) attend_fast_##DIM##_##NAME(            \
        float *out, const float *queries, const STORED *keys, const STORED *values,              \
        const float *sinks, const Row *rows, const Run *runs, u32 n_runs, u32 heads,             \
        u32 kv_heads, u32 window, u32 capacity, float scale) {                                   \
        Heads at = {heads, kv_heads, window, capacity, scale};                                   \
        attend<KV, DIM>(out, queries, keys, values, sinks, rows, runs, n_runs, at);              \
    }
#define BOTH(DIM) ATTEND(KvF32, float, kvf32, DIM) ATTEND(KvF16, u16, kvf16, DIM)
BOTH(32)
BOTH(64)
BOTH(96)
BOTH(128)
