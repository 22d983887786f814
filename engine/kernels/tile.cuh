// Products of many rows with a matrix on tensor cores, as exact as f32 sums: every number is split
// into two of tf32 (11 bits each), three of the four partial products are taken, and each 32 of k
// are summed apart before they join the row's sum in f32, because tensor cores cut off what they
// add.
//
// The order depends on the length of a row alone. Which rows share a tile decides nothing: each row
// of a tile meets only its own numbers.
#pragma once
#include "packed.cuh"

namespace tile {

constexpr int ROWS = 64, OUTPUTS = 64, DEPTH = 32, THREADS = 128;
// Four numbers more than a line holds, so that eight lines start in eight different banks.
constexpr int STRIDE = DEPTH + 4;

// Rounded to tf32: 11 bits that tensor cores take as they are.
__device__ __forceinline__ u32 tf32_of(float x) {
    u32 bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return bits;
}

// What a number is split into. `low` holds what `high` leaves, rounded again.
struct Split {
    u32 high[ROWS * STRIDE];
    u32 low[ROWS * STRIDE];

    __device__ __forceinline__ void put(int line, int k, float x) {
        u32 top = tf32_of(x);
        float rest = x - __uint_as_float(top);
        high[line * STRIDE + k] = top;
        // Infinity and NaN leave no rest: they are told by `high` alone.
        low[line * STRIDE + k] = isfinite(x) ? tf32_of(rest) : 0;
    }
};

struct Shared {
    Split x, w;
};

// sum += a · b: 16 rows, 8 outputs, 8 of k.
__device__ __forceinline__ void multiply(float *sum, const u32 *a, const u32 *b) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ __forceinline__ void load_a(u32 *a, const u32 *lines, int row, int k) {
    int group = threadIdx.x % 32 / 4, within = threadIdx.x % 4;
    const u32 *at = lines + (row + group) * STRIDE + k + within;
    a[0] = at[0];
    a[1] = at[8 * STRIDE];
    a[2] = at[4];
    a[3] = at[8 * STRIDE + 4];
}

__device__ __forceinline__ void load_b(u32 *b, const u32 *lines, int output, int k) {
    int group = threadIdx.x % 32 / 4, within = threadIdx.x % 4;
    const u32 *at = lines + (output + group) * STRIDE + k + within;
    b[0] = at[0];
    b[1] = at[4];
}

// The sums of a warp: 32 rows by 32 outputs, in tiles of 16 by 8.
struct Sums {
    float at[2][4][4];
};

// What is in shared memory, multiplied and added.
__device__ __forceinline__ void multiply_all(const Shared &shared, Sums *sums, int row,
                                             int output) {
    Sums part = {};
#pragma unroll
    for (int k = 0; k < DEPTH; k += 8) {
        u32 high[2][4], low[2][4];
#pragma unroll
        for (int m = 0; m < 2; m++) {
            load_a(high[m], shared.x.high, row + 16 * m, k);
            load_a(low[m], shared.x.low, row + 16 * m, k);
        }
#pragma unroll
        for (int n = 0; n < 4; n++) {
            u32 b_high[2], b_low[2];
            load_b(b_high, shared.w.high, output + 8 * n, k);
            load_b(b_low, shared.w.low, output + 8 * n, k);
#pragma unroll
            for (int m = 0; m < 2; m++) {
                multiply(part.at[m][n], low[m], b_high);
                multiply(part.at[m][n], high[m], b_low);
                multiply(part.at[m][n], high[m], b_high);
            }
        }
    }
#pragma unroll
    for (int i = 0; i < 32; i++) (&sums->at[0][0][0])[i] += (&part.at[0][0][0])[i];
}

// One thread's share of a step: of two rows and of two outputs, eight of k each.
struct Fetched {
    float x[2][8], w[2][8];
};

// Where a tile's numbers are. `rows[i]` is null for a row that is not there.
template <class F>
struct Lines {
    const float *rows[2];
    Line<F> weights[2];
    bool there[2];
};

template <class F>
__device__ __forceinline__ void fetch(Fetched *into, const Lines<F> &lines, u32 k, u32 width) {
    k += 8 * (threadIdx.x % 4);
#pragma unroll
    for (int i = 0; i < 2; i++) {
#pragma unroll
        for (int j = 0; j < 8; j++) {
            bool there = lines.rows[i] && k + j < width;
            into->x[i][j] = there ? lines.rows[i][k + j] : 0.0f;
            into->w[i][j] = 0.0f;
        }
        if (lines.there[i] && k < width) lines.weights[i].eight(k, width, into->w[i]);
    }
}

__device__ __forceinline__ void put(Shared &shared, const Fetched &fetched) {
    int line = threadIdx.x / 4, k = 8 * (threadIdx.x % 4);
#pragma unroll
    for (int i = 0; i < 2; i++) {
#pragma unroll
        for (int j = 0; j < 8; j++) {
            shared.x.put(line + 32 * i, k + j, fetched.x[i][j]);
            shared.w.put(line + 32 * i, k + j, fetched.w[i][j]);
        }
    }
}

// All of a row's length; `done(row, output, sum)` hears of each sum of the tile.
template <class F, class Done>
__device__ __forceinline__ void product(Shared &shared, const Lines<F> &lines, u32 width,
                                        const Done &done) {
    int warp = threadIdx.x / 32, row = 32 * (warp % 2), output = 32 * (warp / 2);
    Sums sums = {};
    Fetched fetched;
    fetch<F>(&fetched, lines, 0, width);
    for (u32 k = 0; k < width; k += DEPTH) {
        put(shared, fetched);
        __syncthreads();
        // The next step's numbers are on their way while this one's are multiplied.
        if (k + DEPTH < width) fetch<F>(&fetched, lines, k + DEPTH, width);
        multiply_all(shared, &sums, row, output);
        __syncthreads();
    }
    int group = threadIdx.x % 32 / 4, pair = 2 * (threadIdx.x % 4);
#pragma unroll
    for (int m = 0; m < 2; m++) {
#pragma unroll
        for (int n = 0; n < 4; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                done(row + 16 * m + group + 8 * (i / 2), output + 8 * n + pair + i % 2,
                     sums.at[m][n][i]);
            }
        }
    }
}

}  // namespace tile
