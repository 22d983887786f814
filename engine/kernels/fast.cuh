// Products of many rows with a matrix in 16 bits on tensor cores, sums in f32. Not as exact as
// tile.cuh: both sides are rounded to 11 bits, as a plain pass in f16 does, but without its range.
// A row of activations is multiplied with the power of two that brings its largest number below
// 2^14 (round.cu), a matrix with the one that fits its format (`unit`), and the sum with what
// undoes both: exact all of them, so the error is that of the 11 bits (2^-12 of each factor at
// most, a normalised error of 9e-8 over a row), and rows of 1e5 as gpt-oss has them, or of 1e-6,
// lose nothing. MXFP4 is exact in 11 bits (2e-8).
//
// The matrix is the left operand: a lane takes eight consecutive k of rows g and g + 8 of sixteen,
// decodes them in registers, straight from memory, and never meets them in shared memory. The
// rows are the right operand; theirs are the same eight k, one 16-byte read. So k runs in an order
// that the layout of the matrix gives, and nothing else: neither which rows share a tile nor how
// many there are.
#pragma once
#include "packed.cuh"
#include "step.cuh"

namespace fast {

constexpr int TOKENS = 128, OUTPUTS = 256, DEPTH = 64, THREADS = 256, STAGES = 4;
constexpr int STAGE_BYTES = TOKENS * DEPTH * 2, SHARED_BYTES = STAGES * STAGE_BYTES;

__device__ __forceinline__ void mma(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ u32 shared_address(const void *at) {
    return static_cast<u32>(__cvta_generic_to_shared(at));
}

__device__ __forceinline__ void copy16(u32 to, const void *from, bool there) {
    int bytes = there ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes));
}
__device__ __forceinline__ void commit() { asm volatile("cp.async.commit_group;"); }
template <int LEFT>
__device__ __forceinline__ void wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(LEFT));
}

__device__ __forceinline__ uint4 load16(u32 at) {
    uint4 v;
    asm volatile("ld.shared.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "r"(at));
    return v;
}

__device__ __forceinline__ u32 times(u32 a, u32 b) {
    u32 c;
    asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(c) : "r"(a), "r"(b));
    return c;
}
__device__ __forceinline__ u32 less(u32 a, u32 b) {
    u32 c;
    asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(c) : "r"(a), "r"(b));
    return c;
}
__device__ __forceinline__ u32 twice(u16 half) { return half * 0x10001u; }

// 2^exponent in both halves, or the nearest that f16 has.
__device__ __forceinline__ u32 power(int exponent) {
    exponent = max(min(exponent, 15), -60);
    return twice(f16_of_f32(__uint_as_float(static_cast<u32>(exponent + 127) << 23)));
}

// What a matrix is, beside where it lies.
struct Matrix {
    const u8 *at;
    u64 layout;
    // Numbers are taken times 2^unit.
    int unit;
    u32 width, outputs;
};

// Sources of matrices. `Source(matrix, first, lane)`: sixteen rows from `first` on; `fetch` reads
// the next 64 of k, `unpack` makes them what `mma` takes: [eight of k][half of them][register].
// CHUNK: which of the eight 16-byte pieces of a row's 64 k a lane's piece `j` is. `Walk` says where
// those pieces stand in the row.

// 64 of k in their own order.
struct Straight {
    u32 slab = 0;
    __device__ Straight(const Matrix &) {}
    __device__ __forceinline__ u32 at(u32 chunk) const { return slab * 64 + chunk * 8; }
    __device__ __forceinline__ void next() { slab++; }
};

// What spread.cu made of any format: registers as they are wanted.
struct Halves {
    typedef Straight Walk;
    static __device__ __forceinline__ u32 chunk(u32 t, u32 j) { return t + 4 * j; }
    struct Raw {
        uint4 at[4];
    };
    const uint4 *from;
    __device__ Halves(const Matrix &m, u64 first, u32 lane) {
        // A tile past the end is read as the last, and kept from the result.
        u64 slabs = (m.width + 63) / 64, tile = min(first, static_cast<u64>(m.outputs) - 1) / 16;
        from = reinterpret_cast<const uint4 *>(m.at) + tile * slabs * 128 + lane;
    }
    __device__ __forceinline__ void fetch(Raw &raw) {
#pragma unroll
        for (int j = 0; j < 4; j++) raw.at[j] = __ldg(from + 32 * j);
        from += 128;
    }
    __device__ __forceinline__ void unpack(const Raw &raw, u32 (&a)[4][4]) const {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            a[j][0] = raw.at[j].x, a[j][1] = raw.at[j].y;
            a[j][2] = raw.at[j].z, a[j][3] = raw.at[j].w;
        }
    }
    static __device__ __forceinline__ u64 output(const Matrix &, u64 at) { return at; }
};

// Q8_0 in items: a slab is two blocks, of two parts of K.
struct Items {
    struct Walk {
        u32 parts, steps, part = 0, step = 0, warp = 0;
        __device__ Walk(const Matrix &m) {
            parts = 16 / Q8Items::rows_of(m.layout), steps = Q8Items::steps_of(m.layout);
        }
        __device__ __forceinline__ u32 at(u32 chunk) const {
            u32 among = parts * warp + part + (chunk < 4 ? 0 : parts / 2);
            return (among * steps + step) * 32 + chunk % 4 * 8;
        }
        __device__ __forceinline__ void next() {
            if (++part < parts / 2) return;
            part = 0;
            if (++step < steps) return;
            step = 0, warp++;
        }
    };
    static __device__ __forceinline__ u32 chunk(u32 t, u32 j) { return t + 4 * j; }
    struct Raw {
        uint4 low, high;
        u32 low_scales, high_scales;
    };
    const u8 *codes[2], *scales[2];
    u32 halves, part = 0, unit, more;
    __device__ Items(const Matrix &m, u64 first, u32 lane) {
        u32 rows = Q8Items::rows_of(m.layout), blocks = m.width / 32;
        u32 g = lane / 4, t = lane % 4;
        halves = 8 / rows;
        // Beyond what one f16 holds, in two steps; the first never goes below.
        int once = max(min(m.unit, 15), -14);
        unit = power(once), more = power(m.unit - once);
#pragma unroll
        for (int i = 0; i < 2; i++) {
            // Rows past the end are read as the last, and kept from the result.
            u64 row = min(first + g + 8 * i, static_cast<u64>(m.outputs) - 1);
            const u8 *item = m.at + row / rows * (rows * blocks * 34);
            u32 line = row % rows;
            codes[i] = item + line * 64 + t * 16;
            scales[i] = item + blocks * rows / 16 * 512 + line * 4;
        }
    }
    __device__ __forceinline__ void fetch(Raw &raw) {
        // With items of four rows the second half of the lines is the part that follows.
        raw.low = __ldg(reinterpret_cast<const uint4 *>(codes[0] + part * 256));
        raw.high = __ldg(reinterpret_cast<const uint4 *>(codes[1] + part * 256));
        raw.low_scales = __ldg(reinterpret_cast<const u32 *>(scales[0] + part * 16));
        raw.high_scales = __ldg(reinterpret_cast<const u32 *>(scales[1] + part * 16));
        if (++part < halves) return;
        part = 0;
        codes[0] += 512, codes[1] += 512;
        scales[0] += 32, scales[1] += 32;
    }
    // A code + 128 behind the bits of 1024 is the number 1152 + code.
    static __device__ __forceinline__ u32 pair(u32 word, u32 select, u32 scale) {
        return times(less(__byte_perm(word, 0x64646464u, select), 0x64806480u), scale);
    }
    static __device__ __forceinline__ void eight(u32 (&a)[4][4], int j, int row, u32 first,
                                                 u32 second, u32 scale) {
        a[2 * j][row] = pair(first, 0x4140, scale);
        a[2 * j][row + 2] = pair(first, 0x4342, scale);
        a[2 * j + 1][row] = pair(second, 0x4140, scale);
        a[2 * j + 1][row + 2] = pair(second, 0x4342, scale);
    }
    __device__ __forceinline__ void unpack(const Raw &raw, u32 (&a)[4][4]) const {
        // Both scales of a row at once, then each for itself.
        u32 low = times(times(raw.low_scales, unit), more);
        u32 high = times(times(raw.high_scales, unit), more);
        u32 low0 = __byte_perm(low, 0, 0x1010), low1 = __byte_perm(low, 0, 0x3232);
        u32 high0 = __byte_perm(high, 0, 0x1010), high1 = __byte_perm(high, 0, 0x3232);
        eight(a, 0, 0, raw.low.x, raw.low.y, low0);
        eight(a, 1, 0, raw.low.z, raw.low.w, low1);
        eight(a, 0, 1, raw.high.x, raw.high.y, high0);
        eight(a, 1, 1, raw.high.z, raw.high.w, high1);
    }
    static __device__ __forceinline__ u64 output(const Matrix &m, u64 at) {
        return Q8Items::unpacked(at, Q8Items::turned_of(m.layout));
    }
};

// Sixteen codes each of two rows of MXFP4, and their scales.
struct MxRaw {
    uint2 low, high;
    u32 low_scale, high_scale;
};

// Magnitudes stand where f16 has its upper bits, which makes them 2^14 times too small.
__device__ __forceinline__ void mx_word(u32 (&a)[4][4], int j, int row, u32 w, u32 scale) {
    const u32 keep = 0x8E008E00u;
    a[2 * j][row] = times(w & keep, scale);
    a[2 * j][row + 2] = times((w << 3) & keep, scale);
    a[2 * j + 1][row] = times(((w & 0x40384038u) * 66u) & keep, scale);
    a[2 * j + 1][row + 2] = times(((w & 0x20072007u) * 516u) & keep, scale);
}
__device__ __forceinline__ void mx_unpack(const MxRaw &raw, int unit, u32 (&a)[4][4]) {
    u32 low = power(static_cast<int>(raw.low_scale) + unit);
    u32 high = power(static_cast<int>(raw.high_scale) + unit);
    mx_word(a, 0, 0, raw.low.x, low);
    mx_word(a, 1, 0, raw.low.y, low);
    mx_word(a, 0, 1, raw.high.x, high);
    mx_word(a, 1, 1, raw.high.y, high);
}

// Gate or up of MxPairs.
struct Pairs {
    typedef Straight Walk;
    typedef MxRaw Raw;
    static __device__ __forceinline__ u32 chunk(u32 t, u32 j) { return 2 * t + j; }
    const u8 *codes[2], *scales[2];
    int unit;
    __device__ Pairs(const Matrix &m, u64 first, u32 lane) {
        u32 g = lane / 4, t = lane % 4, up = m.layout & 1;
        unit = m.unit + 14 - 127;
#pragma unroll
        for (int i = 0; i < 2; i++) {
            u64 row = min(first + g + 8 * i, static_cast<u64>(m.outputs) - 1);
            const u8 *item = m.at + row / 8 * MxPairs::item_bytes(m.width);
            codes[i] = item + (row % 8 * 4 + t) * 16 + up * 8;
            scales[i] = item + m.width / 64 * 512 + row % 8 * 4 + (t & 2) + up;
        }
    }
    __device__ __forceinline__ void fetch(Raw &raw) {
        raw.low = __ldg(reinterpret_cast<const uint2 *>(codes[0]));
        raw.high = __ldg(reinterpret_cast<const uint2 *>(codes[1]));
        raw.low_scale = __ldg(scales[0]), raw.high_scale = __ldg(scales[1]);
        codes[0] += 512, codes[1] += 512;
        scales[0] += 32, scales[1] += 32;
    }
    __device__ __forceinline__ void unpack(const Raw &raw, u32 (&a)[4][4]) const {
        mx_unpack(raw, unit, a);
    }
    static __device__ __forceinline__ u64 output(const Matrix &, u64 at) { return at; }
};

struct Units {
    typedef Straight Walk;
    typedef MxRaw Raw;
    static __device__ __forceinline__ u32 chunk(u32 t, u32 j) { return 2 * t + j; }
    const u8 *codes[2], *scales[2];
    u32 steps, step = 0;
    int unit;
    __device__ Units(const Matrix &m, u64 first, u32 lane) {
        u32 g = lane / 4, t = lane % 4;
        steps = MxUnits::steps_of(m.layout);
        unit = m.unit + 14 - 127;
#pragma unroll
        for (int i = 0; i < 2; i++) {
            u64 row = min(first + g + 8 * i, static_cast<u64>(m.outputs) - 1);
            codes[i] = m.at + row / 4 * (2 * m.width) + row % 4 * 32 + t * 8;
            scales[i] = m.at + static_cast<u64>(m.outputs) * (m.width / 2) +
                        row / 4 * (m.width / 8) + (row % 4 * 2 + t / 2) * steps;
        }
    }
    __device__ __forceinline__ void fetch(Raw &raw) {
        raw.low = __ldg(reinterpret_cast<const uint2 *>(codes[0]));
        raw.high = __ldg(reinterpret_cast<const uint2 *>(codes[1]));
        raw.low_scale = __ldg(scales[0]), raw.high_scale = __ldg(scales[1]);
        codes[0] += 128, codes[1] += 128;
        scales[0]++, scales[1]++;
        if (++step < steps) return;
        step = 0;
        scales[0] += 7 * steps, scales[1] += 7 * steps;
    }
    __device__ __forceinline__ void unpack(const Raw &raw, u32 (&a)[4][4]) const {
        mx_unpack(raw, unit, a);
    }
    static __device__ __forceinline__ u64 output(const Matrix &, u64 at) { return at; }
};

// Rows as round.cu leaves them: f16, `stride` apart, and what undoes each row's power of two.
struct Rows {
    const u16 *at;
    const float *undo;
    u32 stride;
};

// Which rows a block multiplies: `row(token)` for the first `count` tokens.
struct Lines {
    const u16 *from[4];
    bool there[4];
};

typedef float Sums[2][TOKENS / 8][4];

// All of a row's length. `first`: the warp's first output; none are computed if it has none.
template <class Source>
__device__ __forceinline__ void product(u8 *stages, const Matrix &matrix, const Lines &lines,
                                        u32 count, u64 first, bool any, Sums &sums) {
    const u32 lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const u32 slabs = (matrix.width + DEPTH - 1) / DEPTH;
    const u32 base = shared_address(stages), piece = threadIdx.x % 8, line = threadIdx.x / 8;
    // Lines of 128 bytes; odd ones have their pieces exchanged, so that the eight lanes of a phase
    // meet all banks, whichever pieces they want.
    const u32 to = base + line * 128 + (piece ^ (line & 1) * 5) * 16;
    u32 from[2];
#pragma unroll
    for (int j = 0; j < 2; j++) {
        from[j] = base + g * 128 + (Source::chunk(t, j) ^ (g & 1) * 5) * 16;
    }
    typename Source::Walk walk(matrix);
    u32 asked = 0;
    auto ask = [&] {
        if (asked < slabs) {
            u32 k = walk.at(piece), stage = asked % STAGES * STAGE_BYTES;
#pragma unroll
            for (int i = 0; i < 4; i++) {
                copy16(to + stage + i * 32 * 128, lines.from[i] + k, lines.there[i]);
            }
            walk.next();
        }
        asked++;
        commit();
    };
    for (int i = 0; i < STAGES - 1; i++) ask();
    Source source[2] = {Source(matrix, first, lane), Source(matrix, first + 16, lane)};
    typename Source::Raw raw[2];
    if (any) source[0].fetch(raw[0]), source[1].fetch(raw[1]);
    for (u32 slab = 0; slab < slabs; slab++) {
        wait<STAGES - 2>();
        __syncthreads();
        ask();
        if (!any) continue;
        u32 a[2][4][4];
        source[0].unpack(raw[0], a[0]);
        source[1].unpack(raw[1], a[1]);
        if (slab + 1 < slabs) source[0].fetch(raw[0]), source[1].fetch(raw[1]);
        const u32 stage = slab % STAGES * STAGE_BYTES;
#pragma unroll
        for (int n = 0; n < TOKENS / 8; n += 2) {
            if (8 * n >= count) break;
            uint4 b[2][2];
#pragma unroll
            for (int i = 0; i < 2; i++) {
#pragma unroll
                for (int j = 0; j < 2; j++) b[i][j] = load16(from[j] + stage + (n + i) * 1024);
            }
#pragma unroll
            for (int j = 0; j < 2; j++) {
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    mma(sums[0][n + i], a[0][2 * j], b[i][j].x, b[i][j].y);
                    mma(sums[1][n + i], a[1][2 * j], b[i][j].x, b[i][j].y);
                }
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    mma(sums[0][n + i], a[0][2 * j + 1], b[i][j].z, b[i][j].w);
                    mma(sums[1][n + i], a[1][2 * j + 1], b[i][j].z, b[i][j].w);
                }
            }
        }
    }
}

// `done(output, token, sum)` hears of each sum: `output` counted from the warp's first.
template <class Done>
__device__ __forceinline__ void each(const Sums &sums, u32 count, const Done &done) {
    const u32 lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
#pragma unroll
    for (int f = 0; f < 2; f++) {
#pragma unroll
        for (int n = 0; n < TOKENS / 8; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                u32 token = 8 * n + 2 * t + i % 2;
                if (token < count) done(16 * f + g + 8 * (i / 2), token, sums[f][n][i]);
            }
        }
    }
}

}  // namespace fast
