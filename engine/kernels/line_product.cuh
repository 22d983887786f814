// Generated rows times matrices, with what stands before and behind the product in one kernel. A
// block brings up to two rows of activations into shared memory and takes every so many of the
// matrices' tiles of eight outputs. The warps share a tile by its width: a row of it is cut into
// parts, and each warp takes as many parts in a row as any other. It brings them through a ring of
// its own, the first of them asked for before the kernels ahead have ended, so that no warp waits
// for another until the parts' sums are put together. The arithmetic of an output depends on its
// matrix's width and format alone.
#pragma once
#include "line_row.cuh"

// Stages of a warp's ring: more stand in the way of the activations, and bring no more in.
constexpr u32 DEPTH = 2;
// Outputs of a tile; rows of the batch of a block, and parts between two meetings of the warps, at
// most.
constexpr u32 TILE = 8, ROWS = 2, PARTS = 8 * WARPS;
// Bytes of the largest unit of a tile, with what a copy brings from before it.
constexpr u32 UNIT_BYTES = TILE * 210 + 15;

// A matrix, and how a row of it is cut: `units` of `unit_bytes` (a unit is a block of 256, or four
// blocks of 32, the last of a row maybe fewer; of F16 it is 64), so many to a part.
struct Matrix {
    const u8 *data;
    const float *bias;
    u32 outputs, format, row_bytes, units, unit_bytes, part_units;
};

// One to three matrices, of equal width: one after the other, or two side by side, where outputs
// of one number belong together. Tiles lie `pitch` bytes apart in a stage.
struct Matrices {
    Matrix matrix[3];
    u32 width, pitch;
    // Whether the first two are side by side.
    bool gated;

    // Outputs of a span in one matrix: two tiles, or one tile of each matrix; as a power of two.
    __device__ __forceinline__ u32 span_bits() const { return gated ? 3 : 4; }
    __device__ __forceinline__ u32 spans(int i) const {
        return (matrix[i].outputs + 2 * TILE - 1) / (2 * TILE);
    }
};

// A span: its matrix, the first output in it, and in the row of all matrices' outputs.
struct At {
    Matrix matrix;
    u32 output, column;
};

__device__ __forceinline__ At find(const Matrices &all, u32 span) {
    At at = {all.matrix[0], span << all.span_bits(), 0};
    u32 before = 0, column = 0;
#pragma unroll
    for (int i = 1; i < 3; i++) {
        before += all.spans(i - 1);
        column += all.matrix[i - 1].outputs;
        if (all.gated || span < before) break;
        at.matrix = all.matrix[i];
        at.output = (span - before) * 2 * TILE, at.column = column;
    }
    at.column += at.output;
    return at;
}

// A tile of a span: where its rows start, woven (see weight.cuh), and how many there are.
struct Rows8 {
    const u8 *at;
    u32 rows;

    // Bytes from a multiple of sixteen to the unit that `before` bytes of each row precede.
    __device__ __forceinline__ u32 skew(u32 before) const {
        return (static_cast<u32>(reinterpret_cast<u64>(at)) + rows * before) & 15;
    }
};
__device__ __forceinline__ void tiles_of(const Matrices &all, const At &at, Rows8 (&tiles)[2]) {
    u32 left = at.matrix.outputs - at.output;
    u64 before = static_cast<u64>(at.output) * at.matrix.row_bytes;
    tiles[0] = {at.matrix.data + before, min(left, TILE)};
    if (all.gated) tiles[1] = {all.matrix[1].data + before, tiles[0].rows};
    else tiles[1] = {tiles[0].at + TILE * at.matrix.row_bytes, min(left, 2 * TILE) - tiles[0].rows};
}

// How spans are dealt out: `mine` are this block's, and its warps meet after every `per`; of those,
// each warp takes its share of all `parts` of each, in order. The host does the divisions: what
// runs once before the first product takes longest.
struct Deal {
    u32 mine, per, parts, inverse;

    // n / parts, for what PARTS allows: `inverse` is 2^16 / parts, and one more.
    __device__ __forceinline__ u32 over_parts(u32 n) const { return n * inverse >> 16; }
};
struct Run {
    u32 span, part, left;

    __device__ __forceinline__ Run(const Deal &deal, u32 begin) {
        u32 all = min(deal.per, deal.mine - begin) * deal.parts, warp = threadIdx.x / 32;
        u32 first = warp * all / WARPS;
        left = (warp + 1) * all / WARPS - first;
        u32 whole = deal.over_parts(first);
        span = begin + whole, part = first - whole * deal.parts;
    }
    __device__ __forceinline__ void next(const Deal &deal) {
        part++, left--;
        if (part == deal.parts) span++, part = 0;
    }
};

// What a warp asks for: the units of its runs, one after the other.
struct Asking {
    const Matrices &all;
    const Deal &deal;
    u32 begin;
    Run run;
    Rows8 tiles[2];
    // Bytes of a row that are to come in this part, and those before them.
    u32 at, end, row_bytes, unit_bytes, part_bytes, entered;

    __device__ __forceinline__ Asking(const Matrices &all, const Deal &deal)
        : all(all), deal(deal), begin(0), run(deal, 0), at(0), end(0), entered(~0u) {}

    __device__ __forceinline__ void enter() {
        entered = run.span;
        At it = find(all, blockIdx.x + entered * gridDim.x);
        row_bytes = it.matrix.row_bytes, unit_bytes = it.matrix.unit_bytes;
        part_bytes = it.matrix.part_units * unit_bytes;
        tiles_of(all, it, tiles);
    }
    // Goes on to where there is something to ask for; whether there is.
    __device__ __forceinline__ bool settle() {
        while (at >= end) {
            while (run.left == 0) {
                begin += deal.per;
                if (begin >= deal.mine) return begin = deal.mine, false;
                run = Run(deal, begin);
            }
            if (run.span != entered) enter();
            at = run.part * part_bytes, end = min(at + part_bytes, row_bytes);
            run.next(deal);
        }
        return true;
    }
    // Asks for the next unit of both tiles. Copies start at multiples of sixteen; what they bring
    // from beside the unit is not looked at.
    __device__ __forceinline__ void ask(u8 *stage) {
        if (settle()) {
            u32 each = min(unit_bytes, end - at), i = threadIdx.x % 32 * 16;
#pragma unroll
            for (int tile = 0; tile < 2; tile++) {
                const Rows8 &of = tiles[tile];
                if (of.rows == 0) continue;
                u32 skew = of.skew(at), bytes = skew + of.rows * each;
                const u8 *from = of.at + static_cast<u64>(of.rows) * at - skew + i;
                u8 *to = stage + tile * all.pitch + i;
#pragma unroll
                for (u32 ahead = 0; ahead < UNIT_BYTES; ahead += 512) {
                    if (i + ahead < bytes) copy16(to + ahead, from + ahead);
                }
            }
            at += unit_bytes;
        }
        copies_end();
    }
};

// What the warps found of a part: of two tiles, rows of the batch, outputs.
typedef float Found[2][ROWS][TILE];

// Leaves a part's sums where all can read them, and starts again.
__device__ __forceinline__ void leave(Lane &lane, Found &found) {
#pragma unroll
    for (int tile = 0; tile < 2; tile++) {
        float sum = lane.sum[tile] - lane.minus[tile];
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        if (lane.t < 2) found[tile][lane.t][threadIdx.x % 32 / 4] = sum;
        lane.sum[tile] = lane.minus[tile] = 0.0f;
    }
}

// The whole sum of output `output` of a tile, for row `row`.
__device__ __forceinline__ float total(const Found *found, u32 parts, u32 tile, u32 row,
                                       u32 output) {
    float sum = 0.0f;
    // Eight are read before the first of them is added: each alone would be waited for.
#pragma unroll 1
    for (u32 part = 0; part < parts; part += 8) {
        float some[8];
#pragma unroll
        for (u32 i = 0; i < 8; i++) {
            some[i] = part + i < parts ? found[part + i][tile][row][output] : 0.0f;
        }
#pragma unroll
        for (u32 i = 0; i < 8; i++) sum += some[i];
    }
    return sum;
}

// An output of a row: its number in its matrix, in the row of all matrices' outputs, and its bias,
// if it has one.
struct Output {
    u32 row, index, column;
    bool biased;
    float bias;

    __device__ __forceinline__ float with_bias(float sum) const {
        return biased ? sum + bias : sum;
    }
};

// What an output comes to: its sum, or those of both matrices side by side; and what was looked
// up for it before.
struct Sums {
    float first, second, early;
};

// Which rows: how many, and to a block; which row of the source is behind each, and which of them
// are generated.
struct Lines {
    u32 rows, together;
    const u32 *gather;
    const Row *step;
    const u32 *wanted;

    __device__ __forceinline__ bool skips(u32 row) const {
        return step && step[wanted ? wanted[row] : row].role;
    }
};

// Goes through this warp's share of the spans from `begin` on: waits for a unit, multiplies, asks
// for the one that its stage is free for.
__device__ __forceinline__ void products(const Matrices &all, const Deal &deal, u32 begin,
                                         Lane &lane, Asking &asking, u8 *ring, u32 *slot,
                                         Found *found) {
    u32 g = threadIdx.x % 32 / 4;
    Run run(deal, begin);
    At at;
    Rows8 tiles[2];
#pragma unroll 1
    for (bool enter = true; run.left > 0; run.next(deal), enter = run.part == 0) {
        if (enter) {
            at = find(all, blockIdx.x + run.span * gridDim.x);
            tiles_of(all, at, tiles);
        }
        u32 unit = run.part * at.matrix.part_units;
        u32 end = min(unit + at.matrix.part_units, at.matrix.units);
#pragma unroll 1
        for (; unit < end; unit++) {
            copies_wait<DEPTH - 1>();
            __syncwarp();
            u32 before = unit * at.matrix.unit_bytes;
            u32 each = min(at.matrix.unit_bytes, at.matrix.row_bytes - before);
            u32 skew = tiles[0].skew(before);
            u8 *stage = ring + *slot * 2 * all.pitch;
            Rows2 rows = {stage + skew + g * each, all.pitch + tiles[1].skew(before) - skew};
            take(lane, at.matrix.format, rows, unit, all.width);
            __syncwarp();
            asking.ask(stage);
            *slot = *slot + 1 == DEPTH ? 0 : *slot + 1;
        }
        leave(lane, found[(run.span - begin) * deal.parts + run.part]);
    }
}

// `target(output, sums)` is called by one thread for each output of a row; what it wants to know
// beside the sums is `early(output)`, called before they are there. Grid: (blocks, rows /
// together).
template <class Early, class Target>
__device__ __forceinline__ void line_products(const Matrices &all, const Source &source,
                                             const Lines &lines, const Deal &deal, Early early,
                                             Target target) {
    extern __shared__ __align__(16) u8 room[];
    __shared__ double scratch[2 * WARPS];
    __shared__ Found found[PARTS];
    let_next_start();
    u32 first = blockIdx.y * lines.together, count = min(lines.rows - first, lines.together);
    u32 row_room = LineX::bytes(all.width), stage_bytes = 2 * all.pitch;
    u32 g = threadIdx.x % 32 / 4, t = threadIdx.x % 4, warp = threadIdx.x / 32;
    u8 *ring = room + count * row_room + warp * DEPTH * stage_bytes;
    Ahead ahead(source, first, all.width);
    Asking asking(all, deal);
    // What is asked for here stands before the row that all wait for: no more than a stage.
    asking.ask(ring);
    wait_for_last();
#pragma unroll 1
    for (u32 i = 0; i < count; i++) {
        u32 row = lines.gather ? lines.gather[first + i] : first + i;
        if (i > 0) {
            __syncthreads();
            ahead = Ahead(source, row, all.width);
        }
        line_put(LineX(room + i * row_room, all.width), source, row, ahead, all.width, scratch);
    }
#pragma unroll 1
    for (u32 i = 1; i < DEPTH; i++) asking.ask(ring + i * stage_bytes);
    LineX mine(room + min(t & 1, count - 1) * row_room, all.width);
    LineX column(room + min(g / 2 & 1, count - 1) * row_room, all.width);
    Lane lane = {t, column.parts + g % 2 * 4 + t, g / 4, mine.sums, mine.scales, t / 2, {}, {}};
    // The output that this thread hands over at each meeting.
    u32 bits = all.span_bits(), kept = threadIdx.x / ROWS >> bits;
    u32 row = (threadIdx.x >> bits) % ROWS, output = threadIdx.x & (1 << bits) - 1, slot = 0;
    __syncthreads();
#pragma unroll 1
    for (u32 begin = 0; begin < deal.mine; begin += deal.per) {
        bool gives = kept < deal.per && begin + kept < deal.mine && row < count &&
                     !lines.skips(first + row);
        Output to = {};
        Sums sums = {};
        if (gives) {
            At at = find(all, blockIdx.x + (begin + kept) * gridDim.x);
            to = {first + row, at.output + output, at.column + output, at.matrix.bias != nullptr};
            gives = to.index < at.matrix.outputs;
            if (gives && to.biased) to.bias = fresh1(at.matrix.bias + to.index);
            if (gives) sums.early = early(to);
        }
        products(all, deal, begin, lane, asking, ring, &slot, found);
        __syncthreads();
        if (gives) {
            const Found *parts_of = found + kept * deal.parts;
            sums.first = total(parts_of, deal.parts, output / TILE, row, output % TILE);
            if (all.gated) sums.second = total(parts_of, deal.parts, 1, row, output);
            target(to, sums);
        }
        __syncthreads();
    }
}
