// Attention of generated rows: a block looks at one share of the positions of one row, for one head
// of the query. Keys and values of the past are asked for before the kernels ahead have ended; the
// row's own may come straight from its projections, are turned here, and are then kept.
#include "kv.cuh"
#include "line_attend.cuh"
#include "line_ptx.cuh"
#include "turn.cuh"

constexpr u32 THREADS = 128, MAX_DIM = 256, MAX_TILE = 64;
// Elements of a head that a thread has at most.
constexpr u32 EACH = MAX_DIM / THREADS;

struct Heads {
    u32 heads, kv_heads, dim, window, capacity;
    float scale;
};

// The row's own key and value, if they are not kept yet, and how queries and keys are turned.
struct Fresh {
    const float *keys, *values;
    u32 stride;
    Turn turn;
};

// What a thread has of the row's own query, and of its key and value if they are fresh: asked for
// before any of it is looked at, which is one way there and not three.
struct Own {
    float query[EACH], key[EACH], value[EACH];

    // `work(i, d)` for each element of a head that is this thread's.
    template <class Work>
    __device__ __forceinline__ void each(u32 dim, Work work) const {
#pragma unroll
        for (u32 i = 0; i < EACH; i++) {
            u32 d = threadIdx.x + i * THREADS;
            if (d < dim) work(i, d);
        }
    }
    __device__ __forceinline__ Own(const Fresh &fresh, const float *queries, u64 from, bool owns,
                                   u32 dim) {
        each(dim, [&](u32 i, u32 d) {
            query[i] = turned(fresh.turn, queries, blockIdx.z, d);
            if (!owns) return;
            key[i] = turned(fresh.turn, fresh.keys + from, blockIdx.z, d);
            value[i] = fresh.values[from + d];
        });
    }
};

// Four elements, as they are kept.
__device__ __forceinline__ void copy4(float *to, const float *from) { copy16(to, from); }
__device__ __forceinline__ void copy4(u16 *to, const u16 *from) { copy8(to, from); }

template <class Kv>
struct Tile {
    typedef typename Kv::Stored Stored;
    Stored *keys, *values;
    const Stored *all_keys, *all_values;
    u32 slot, capacity, width, column, dim;

    __device__ u64 at(u32 position) const {
        return kv_at(slot, position, capacity, width) + column;
    }
    // Asks for positions first .. end, to be found at their distance from `base`.
    __device__ __forceinline__ void load(u32 base, u32 first, u32 end) const {
        u32 pieces = dim / 4;
        for (u32 i = threadIdx.x; i < (end - first) * pieces; i += THREADS) {
            u32 position = first + i / pieces, d = i % pieces * 4;
            u64 from = at(position) + d;
            u32 to = (position - base) * dim + d;
            copy4(keys + to, all_keys + from);
            copy4(values + to, all_values + from);
        }
        copies_end();
    }
};

// Four elements in a row, as they are kept.
__device__ __forceinline__ float4 four(const float *at) {
    return *reinterpret_cast<const float4 *>(at);
}
__device__ __forceinline__ float4 four(const u16 *at) {
    ushort4 bits = *reinterpret_cast<const ushort4 *>(at);
    return make_float4(f32_of_f16(bits.x), f32_of_f16(bits.y), f32_of_f16(bits.z),
                       f32_of_f16(bits.w));
}

// The sum over eight lanes of four elements each of query and key, 32 elements on and on.
template <class Kv>
__device__ __forceinline__ float score(const float *query, const typename Kv::Stored *key,
                                       u32 dim) {
    float sum = 0.0f;
#pragma unroll 2
    for (u32 d = threadIdx.x % 8 * 4; d < dim; d += 32) {
        float4 q = four(query + d), k = four(key + d);
        sum = fmaf(q.x, k.x, sum), sum = fmaf(q.y, k.y, sum);
        sum = fmaf(q.z, k.z, sum), sum = fmaf(q.w, k.w, sum);
    }
#pragma unroll
    for (int step = 1; step < 8; step *= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
    return sum;
}

// A share so far: every thread knows the largest score and the sum; a thread holds the values' sums
// of four elements over its positions.
struct Share {
    float top, sum, values[4];
};

// Takes a tile in whose scores are known; `parts` is the warp's own.
template <class Kv>
__device__ __forceinline__ void fold(Share &share, const float *scores, float *parts,
                                     const typename Kv::Stored *values, u32 begin, u32 end,
                                     u32 dim) {
    u32 lane = threadIdx.x % 32;
    float next = share.top;
    for (u32 j = begin + lane; j < end; j += 32) next = fmaxf(next, scores[j]);
    for (int step = 16; step > 0; step /= 2) {
        next = fmaxf(next, __shfl_xor_sync(0xffffffffu, next, step));
    }
    float before = exp2f((share.top - next) * LOG2E), sum = 0.0f;
    for (u32 j = begin + lane; j < end; j += 32) {
        // A score that is no number is no part of the largest, but of the sum.
        float part = exp2f((scores[j] - next) * LOG2E);
        parts[j] = part;
        sum += part;
    }
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
    share.sum = fmaf(share.sum, before, sum);
    share.top = next;
    __syncwarp();
#pragma unroll
    for (int i = 0; i < 4; i++) share.values[i] *= before;
    u32 columns = dim > 128 ? 64 : dim > 64 ? 32 : 16, column = threadIdx.x % columns;
    if (4 * column >= dim) return;
    const typename Kv::Stored *from = values + 4 * column;
#pragma unroll 4
    for (u32 j = begin + threadIdx.x / columns; j < end; j += THREADS / columns) {
        float4 v = four(from + j * dim);
        share.values[0] = fmaf(parts[j], v.x, share.values[0]);
        share.values[1] = fmaf(parts[j], v.y, share.values[1]);
        share.values[2] = fmaf(parts[j], v.z, share.values[2]);
        share.values[3] = fmaf(parts[j], v.w, share.values[3]);
    }
}

// Adds what the threads hold and writes what the share found.
__device__ __forceinline__ void finish(const Share &share, float *room, float *out, u32 dim) {
    u32 columns = dim > 128 ? 64 : dim > 64 ? 32 : 16, column = threadIdx.x % columns;
    float4 *all = reinterpret_cast<float4 *>(room);
    __syncthreads();
    all[threadIdx.x] =
        make_float4(share.values[0], share.values[1], share.values[2], share.values[3]);
    __syncthreads();
    if (threadIdx.x == 0) out[0] = share.top, out[1] = share.sum;
    if (threadIdx.x >= columns || 4 * column >= dim) return;
    // Read before any is added: what is read and then added, one by one, waits each time.
    float4 parts[THREADS / 16];
#pragma unroll
    for (u32 i = 0; i < THREADS / 16; i++) {
        u32 from = column + i * columns;
        if (from < THREADS) parts[i] = all[from];
    }
    float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll
    for (u32 i = 0; i < THREADS / 16; i++) {
        if (column + i * columns >= THREADS) break;
        sum.x += parts[i].x, sum.y += parts[i].y, sum.z += parts[i].z, sum.w += parts[i].w;
    }
    *reinterpret_cast<float4 *>(out + 4 + 4 * column) = sum;
}

// What the threads of a block share beside keys and values.
struct Shared {
    float query[MAX_DIM], scores[MAX_TILE], parts[THREADS / 32][MAX_TILE];
};

template <class Kv>
__device__ __forceinline__ void attend(Shared &shared, float *partial, const float *queries,
                                       u32 stride, Fresh fresh, typename Kv::Stored *keys,
                                       typename Kv::Stored *values, const Row *rows, Heads of) {
    extern __shared__ __align__(16) u8 room[];
    float *query = shared.query, *scores = shared.scores;
    u32 head = blockIdx.y, dim = of.dim, width = of.kv_heads * dim;
    u32 group = of.heads / of.kv_heads, column = head / group * dim, span = tile_of(dim);
    Row row = rows[blockIdx.z];
    Split split = split_of(row.position, of.window, span);
    // Rows of a prompt are not for this kernel; shares beyond the last have nothing to do.
    if (row.role || blockIdx.x >= split.count) return;
    let_next_start();
    typedef typename Kv::Stored Stored;
    Stored *tile_keys = reinterpret_cast<Stored *>(room), *tile_values = tile_keys + span * dim;
    Tile<Kv> tile = {tile_keys,   tile_values, keys,   values, row.slot,
                     of.capacity, width,       column, dim};
    u32 begin = (split.first + blockIdx.x * split.each) * span;
    u32 end = min(begin + split.each * span, row.position + 1);
    // The row's own key and value are the last, and not kept yet if they are fresh.
    u32 kept = fresh.keys ? min(end, row.position) : end;
    tile.load(begin, max(begin, split.seen), max(min(begin + span, kept), split.seen));
    wait_for_last();
    bool owns = fresh.keys && end == row.position + 1;
    u64 from = static_cast<u64>(blockIdx.z) * stride + head * dim;
    u64 fresh_from = static_cast<u64>(blockIdx.z) * fresh.stride + column;
    Own own(fresh, queries + from, fresh_from, owns, dim);
    own.each(dim, [&](u32 i, u32 d) { query[d] = own.query[i]; });
    Share share = {__uint_as_float(0xFF800000), 0.0f, {}};
    for (u32 base = begin; base < end; base += span) {
        u32 first = max(base, split.seen) - base, last = min(base + span, end) - base;
        if (base > begin) {
            __syncthreads();
            tile.load(base, base, min(base + span, kept));
        }
        if (owns && row.position - base < span) {
            u32 place = (row.position - base) * dim;
            own.each(dim, [&](u32 i, u32 d) {
                Stored key = Kv::stored(own.key[i]), value = Kv::stored(own.value[i]);
                tile_keys[place + d] = key, tile_values[place + d] = value;
                if (head % group == 0) {
                    keys[tile.at(row.position) + d] = key;
                    values[tile.at(row.position) + d] = value;
                }
            });
        }
        copies_wait<0>();
        __syncthreads();
#pragma unroll 4
        for (u32 j = threadIdx.x / 8; j < span; j += THREADS / 8) {
            float dot = score<Kv>(query, tile_keys + j * dim, dim);
            if (threadIdx.x % 8 == 0) scores[j] = dot * of.scale;
        }
        __syncthreads();
        fold<Kv>(share, scores, shared.parts[threadIdx.x / 32], tile_values, first, last, dim);
    }
    u64 to = (static_cast<u64>(blockIdx.z) * of.heads + head) * SPLITS + blockIdx.x;
    finish(share, reinterpret_cast<float *>(room), partial + to * partial_width(dim), dim);
}

// Grid: (SPLITS, heads, rows). How many blocks share a multiprocessor is decided by shared memory:
// ptxas would save registers, and spill, for more of them.
#define ATTEND(KV, STORED, NAME)                                                                 \
    extern "C" __global__ void __launch_bounds__(THREADS, 1) line_attend_##NAME(                 \
        float *partial, const float *queries, u32 stride, const float *fresh_keys,               \
        const float *fresh_values, u32 fresh_stride, const float *cosines, const float *sines,   \
        u32 pairs, u32 neox, STORED *keys, STORED *values, const Row *rows, u32 heads,           \
        u32 kv_heads, u32 dim, u32 window, u32 capacity, float scale) {                          \
        Heads of = {heads, kv_heads, dim, window, capacity, scale};                              \
        Fresh fresh = {fresh_keys, fresh_values, fresh_stride, {cosines, sines, pairs, neox}};   \
        __shared__ __align__(16) Shared shared;                                                  \
        attend<KV>(shared, partial, queries, stride, fresh, keys, values, rows, of);             \
    }
ATTEND(KvF32, float, kvf32)
ATTEND(KvF16, u16, kvf16)

// out[r, :] = what all shares of row r found, one after the other. Grid: (elements / 4, rows).
extern "C" __global__ void line_attended(float *out, const float *partial, const Row *rows,
                                         const float *sinks, u32 heads, u32 dim, u32 window) {
    u32 k = 4 * (blockIdx.x * blockDim.x + threadIdx.x), width = heads * dim;
    if (k >= width || rows[blockIdx.y].role) return;
    float x[4];
    Attended from = {partial, rows, sinks, heads, dim, window};
    attended4(from, blockIdx.y, shares_of(from, blockIdx.y), k, x);
    for (int i = 0; i < 4; i++) out[static_cast<u64>(blockIdx.y) * width + k + i] = x[i];
}
