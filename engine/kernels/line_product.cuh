// Generated rows times matrices, with what stands before and behind the product in one kernel. A
// block brings up to two rows of activations into shared memory and takes every so many of the
// matrices' tiles of eight outputs; the tiles' bytes come through a ring in shared memory, the
// first of them asked for before the kernels ahead have ended. The warps share a tile by its
// width. The arithmetic of an output depends on its matrix's width and format alone.
#pragma once
#include "line_row.cuh"

// Stages of the ring; outputs of a tile; rows of the batch of a block.
constexpr u32 DEPTH = 4, TILE = 8, ROWS = 2;

// A matrix, and how a row of it is cut: `units` of `unit_bytes`, of which a stage holds `per` (a
// unit is a block of 256, or two blocks of 32, the last of a row maybe one).
struct Matrix {
    const u8 *data;
    const float *bias;
    u32 outputs, format, row_bytes, units, per, unit_bytes;
};

// One to three matrices, of equal width: one after the other, or two side by side, where outputs
// of one number belong together. Rows of a stage lie `pitch` bytes apart.
template <int COUNT, bool GATED>
struct Matrices {
    // Outputs of a stage in one matrix: two tiles, or one tile of each matrix.
    static constexpr u32 SPAN = GATED ? TILE : 2 * TILE;
    Matrix matrix[COUNT];
    u32 width, pitch;

    __device__ __forceinline__ u32 spans(int i) const {
        return (matrix[i].outputs + SPAN - 1) / SPAN;
    }
    __device__ __forceinline__ u32 all() const {
        u32 all = spans(0);
#pragma unroll
        for (int i = 1; i < COUNT && !GATED; i++) all += spans(i);
        return all;
    }
};

// A place in the order in which a block goes through its spans, and their parts.
struct Cursor {
    u32 span, part;
};

// A part of a span: first output in its matrix, and in the row of all matrices' outputs.
struct At {
    Matrix matrix;
    u32 output, column;
    bool last;
};

template <int COUNT, bool GATED>
__device__ __forceinline__ At find(const Matrices<COUNT, GATED> &all, const Cursor &cursor) {
    constexpr u32 SPAN = Matrices<COUNT, GATED>::SPAN;
    At at = {all.matrix[0], cursor.span * SPAN, 0, false};
    u32 before = 0, column = 0;
#pragma unroll
    for (int i = 1; i < COUNT && !GATED; i++) {
        before += all.spans(i - 1);
        column += all.matrix[i - 1].outputs;
        if (cursor.span < before) break;
        at.matrix = all.matrix[i];
        at.output = (cursor.span - before) * SPAN, at.column = column;
    }
    at.column += at.output;
    at.last = (cursor.part + 1) * at.matrix.per >= at.matrix.units;
    return at;
}

__device__ __forceinline__ void advance(Cursor *cursor, bool last) {
    cursor->part = last ? 0 : cursor->part + 1;
    if (last) cursor->span += gridDim.x;
}

// Where a part of row `row` of a stage starts; of two matrices side by side, the second's rows
// follow the first's.
template <int COUNT, bool GATED>
__device__ __forceinline__ const u8 *part_of(const Matrices<COUNT, GATED> &all, const At &at,
                                             u32 row, u32 part) {
    const u8 *data = GATED && row >= TILE ? all.matrix[COUNT - 1].data : at.matrix.data;
    u64 row_at = static_cast<u64>(at.output + (GATED ? row % TILE : row)) * at.matrix.row_bytes;
    return data + row_at + part * at.matrix.per * at.matrix.unit_bytes;
}
__device__ __forceinline__ u32 skew_of(const u8 *at) {
    return static_cast<u32>(reinterpret_cast<u64>(at)) & 15;
}

// Asks for a part of a span, each warp for two outputs'. Copies start at multiples of sixteen; what
// they bring from before the part is not looked at.
template <int COUNT, bool GATED>
__device__ __forceinline__ void ask(const Matrices<COUNT, GATED> &all, Cursor *cursor, u32 spans,
                                    u8 *stage) {
    if (cursor->span < spans) {
        At at = find(all, *cursor);
        u32 part_bytes = at.matrix.per * at.matrix.unit_bytes;
        u32 left = at.matrix.row_bytes - cursor->part * part_bytes, bytes = min(part_bytes, left);
        for (u32 row = threadIdx.x / 32; row < 2 * TILE; row += WARPS) {
            if (at.output + (GATED ? row % TILE : row) >= at.matrix.outputs) continue;
            const u8 *from = part_of(all, at, row, cursor->part);
            u32 skew = skew_of(from), end = skew + bytes;
            from -= skew;
            u8 *to = stage + row * all.pitch;
#pragma unroll 2
            for (u32 i = threadIdx.x % 32 * 16; i < end; i += 512) {
                copy16(to + i, from + i, min(end - i, 16u));
            }
        }
        advance(cursor, at.last);
    }
    copies_end();
}

// What the warps found: for the span before and this one, of two tiles, rows of the batch, outputs.
typedef float Found[2][2][WARPS][ROWS][TILE];

// Leaves a span's sums of this warp where all can read them, and starts again.
__device__ __forceinline__ void leave(Lane &lane, float scale, float (*found)[WARPS][ROWS][TILE]) {
#pragma unroll
    for (int tile = 0; tile < 2; tile++) {
        float sum = fmaf(lane.sum[tile], scale, -lane.minus[tile]);
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        if (lane.t < 2) found[tile][lane.warp][lane.t][threadIdx.x % 32 / 4] = sum;
        lane.sum[tile] = lane.minus[tile] = 0.0f;
    }
}

// The whole sum of output `output` of a tile, for row `row`.
__device__ __forceinline__ float total(const float (*found)[ROWS][TILE], u32 row, u32 output) {
    float sum = 0.0f;
#pragma unroll
    for (int warp = 0; warp < WARPS; warp++) sum += found[warp][row][output];
    return sum;
}

// Which rows: how many, which row of the source is behind each, and which of them are generated.
struct Lines {
    u32 rows;
    const u32 *gather;
    const Row *step;
    const u32 *wanted;

    __device__ __forceinline__ bool skips(u32 row) const {
        return step && step[wanted ? wanted[row] : row].role;
    }
};

// `target(row, at, output, found)` is called by one thread for each output of a row, with what the
// warps found of the span. Grid: (blocks, rows / ROWS).
template <int COUNT, bool GATED, class Target>
__device__ __forceinline__ void line_product(const Matrices<COUNT, GATED> &all,
                                             const Source &source, const Lines &lines,
                                             Target target) {
    constexpr u32 SPAN = Matrices<COUNT, GATED>::SPAN;
    extern __shared__ __align__(16) u8 room[];
    __shared__ double scratch[WARPS];
    __shared__ Found found;
    let_next_start();
    u32 first = blockIdx.y * ROWS, count = min(lines.rows - first, ROWS), spans = all.all();
    u32 row_room = LineX::bytes(all.width), stage_bytes = 2 * TILE * all.pitch;
    u8 *ring = room + count * row_room;
    Cursor asked = {blockIdx.x, 0}, taken = asked;
#pragma unroll 1
    for (u32 i = 0; i < DEPTH; i++) ask(all, &asked, spans, ring + i * stage_bytes);
    wait_for_last();
#pragma unroll 1
    for (u32 i = 0; i < count; i++) {
        u32 row = lines.gather ? lines.gather[first + i] : first + i;
        line_put(LineX(room + i * row_room, all.width), source, row, all.width, scratch);
    }
    u32 g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    LineX mine(room + min(t & 1, count - 1) * row_room, all.width);
    LineX column(room + min(g / 2 & 1, count - 1) * row_room, all.width);
    Lane lane = {t, threadIdx.x / 32, column.parts + g % 2 * 4 + t, g / 4, mine.sums, t / 2,
                 {}, {}};
    At done = {};
    bool pending = false;
    u32 slot = 0, before = DEPTH - 1, parity = 0;
    auto hand_over = [&]() {
        u32 row = threadIdx.x / SPAN, output = threadIdx.x % SPAN;
        if (pending && row < count && done.output + output < done.matrix.outputs &&
            !lines.skips(first + row)) {
            target(first + row, done, output, found[parity ^ 1]);
        }
        pending = false;
    };
    for (bool start = true; taken.span < spans; start = false) {
        if (start) copies_wait<DEPTH - 1>();
        else copies_wait<DEPTH - 2>();
        __syncthreads();
        if (!start) ask(all, &asked, spans, ring + before * stage_bytes);
        hand_over();
        At at = find(all, taken);
        const u8 *row = part_of(all, at, g, taken.part);
        u32 begin = taken.part * at.matrix.per, end = min(begin + at.matrix.per, at.matrix.units);
        u32 skew = skew_of(row), other = skew_of(part_of(all, at, g + TILE, taken.part));
        const u8 *stage = ring + slot * stage_bytes;
        Rows2 rows = {stage + g * all.pitch + skew, TILE * all.pitch + other - skew};
        take(lane, at.matrix.format, rows, begin, end, all.width);
        if (at.last) {
            leave(lane, *mine.scale * 16777216.0f, found[parity]);
            done = at, pending = true, parity ^= 1;
        }
        advance(&taken, at.last);
        before = slot;
        slot = slot + 1 == DEPTH ? 0 : slot + 1;
    }
    __syncthreads();
    hand_over();
}
