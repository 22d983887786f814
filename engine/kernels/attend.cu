// Attention of one row and one query head over what is kept of its sequence: a softmax in tiles of
// positions that start at multiples of TILE, so that the order of sums follows from the row's
// position and window alone: not from how a prompt was cut, nor from what else is computed.
#include "kv.cuh"
#include "math.cuh"
#include "reduce.cuh"
#include "step.cuh"

constexpr int THREADS = 128, WARPS = THREADS / 32, TILE = 64, MAX_DIM = 256;
constexpr int EACH = MAX_DIM / THREADS;

struct Heads {
    u32 heads, kv_heads, head_dim, window, capacity, prompts, generated;
    float scale;
};

// What the tiles so far amount to: the largest score, and sums relative to it.
struct Softmax {
    float top;
    double sum;
};

// Scores become parts of the softmax; returns what everything before is multiplied with. One warp.
__device__ float fold(float *scores, u32 first, u32 end, Softmax *softmax) {
    u32 lane = threadIdx.x;
    float top = softmax->top;
    for (u32 j = lane; j < TILE; j += 32) {
        bool better = j >= first && j < end && (scores[j] > top || scores[j] != scores[j]);
        top = better ? scores[j] : top;
    }
    for (int step = 16; step > 0; step /= 2) {
        float other = __shfl_xor_sync(0xffffffffu, top, step);
        // Not fmax, which would hide a score that is no number.
        top = other > top || other != other ? other : top;
    }
    double sum = 0.0;
    for (u32 j = lane; j < TILE; j += 32) {
        double part = 0.0;
        if (j >= first && j < end) {
            part = exp_of_negative(static_cast<double>(scores[j]) - static_cast<double>(top));
        }
        scores[j] = static_cast<float>(part);
        sum += part;
    }
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
    double before = exp_of_negative(static_cast<double>(softmax->top) - static_cast<double>(top));
    __syncwarp();
    if (lane == 0) {
        softmax->sum = softmax->sum * before + sum;
        softmax->top = top;
    }
    return static_cast<float>(before);
}

template <class Kv>
__device__ void attend(float *out, const float *queries, const typename Kv::Stored *keys,
                       const typename Kv::Stored *values, const float *sinks, const Row *rows,
                       Heads at) {
    __shared__ float query[MAX_DIM], scores[TILE];
    __shared__ float before;
    __shared__ Softmax softmax;
    u32 head = blockIdx.x, dim = at.head_dim, width = at.kv_heads * dim;
    Row row = rows[blockIdx.y];
    // Rows of a prompt may be attend_fast.cu's, and generated ones line_attend.cu's.
    if (row.role ? !at.prompts : !at.generated) return;
    u64 own = (static_cast<u64>(blockIdx.y) * at.heads + head) * dim;
    u32 column = head / (at.heads / at.kv_heads) * dim;
    for (u32 d = threadIdx.x; d < dim; d += THREADS) query[d] = queries[own + d];
    if (threadIdx.x == 0) {
        // A sink takes its share and gives nothing: it is counted once, before all positions.
        softmax.top = sinks ? sinks[head] : __uint_as_float(0xFF800000);
        softmax.sum = sinks ? 1.0 : 0.0;
    }
    u32 past = row.position + 1;
    u32 seen = at.window && past > at.window ? past - at.window : 0;
    float sums[EACH] = {};
    for (u32 tile = seen / TILE * TILE; tile < past; tile += TILE) {
        u32 first = seen > tile ? seen - tile : 0, end = min(past - tile, static_cast<u32>(TILE));
        __syncthreads();
        for (u32 j = first + threadIdx.x / 32; j < end; j += WARPS) {
            u64 key = kv_at(row.slot, tile + j, at.capacity, width) + column;
            float dot = 0.0f;
            for (u32 d = threadIdx.x % 32; d < dim; d += 32) {
                dot = fmaf(query[d], Kv::value(keys[key + d]), dot);
            }
            dot = warp_sum(dot);
            if (threadIdx.x % 32 == 0) scores[j] = dot * at.scale;
        }
        __syncthreads();
        if (threadIdx.x < 32) {
            float share = fold(scores, first, end, &softmax);
            if (threadIdx.x == 0) before = share;
        }
        __syncthreads();
#pragma unroll
        for (int e = 0; e < EACH; e++) {
            u32 d = threadIdx.x + e * THREADS;
            if (d >= dim) continue;
            float sum = sums[e] * before;
            for (u32 j = first; j < end; j++) {
                u64 value = kv_at(row.slot, tile + j, at.capacity, width) + column;
                sum = fmaf(scores[j], Kv::value(values[value + d]), sum);
            }
            sums[e] = sum;
        }
    }
    __syncthreads();
    float share = static_cast<float>(1.0 / softmax.sum);
#pragma unroll
    for (int e = 0; e < EACH; e++) {
        u32 d = threadIdx.x + e * THREADS;
        if (d < dim) out[own + d] = sums[e] * share;
    }
}

#define ATTEND(KV, STORED, NAME)                                                                 \
    extern "C" __global__ void __launch_bounds__(THREADS) attend_f32_##NAME(                     \
        float *out, const float *queries, const STORED *keys, const STORED *values,              \
        const float *sinks, const Row *rows, u32 heads, u32 kv_heads, u32 head_dim, u32 window,  \
        u32 capacity, u32 prompts, u32 generated, float scale) {                                 \
        Heads at = {heads,    kv_heads, head_dim,  window,                                       \
                    capacity, prompts,  generated, scale};                                       \
        attend<KV>(out, queries, keys, values, sinks, rows, at);                                 \
    }
ATTEND(KvF32, float, kvf32)
ATTEND(KvF16, u16, kvf16)
