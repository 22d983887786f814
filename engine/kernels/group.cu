// Sorts what experts were picked for by expert, so that rows of one expert can share its weights.
#include "number.cuh"

constexpr int WARPS = 8, MOST = 1024;

// Rows of one expert that a block multiplies: `count` from `first` on in `order`.
struct Tile {
    u32 expert, first, count, unused;
};

// order[..slots] holds all slots by expert, those of one expert as they stood. `tiles` covers it in
// pieces of at most `rows`; those past the last hold nothing. One block; experts <= MOST.
extern "C" __global__ void __launch_bounds__(32 * WARPS) group_slots(
    u32 *order, Tile *tiles, const u32 *ids, u32 slots, u32 experts, u32 rows, u32 n_tiles) {
    __shared__ u32 counts[MOST];
    u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    for (u32 expert = warp; expert < experts; expert += WARPS) {
        u32 count = 0;
        for (u32 base = 0; base < slots; base += 32) {
            bool own = base + lane < slots && ids[base + lane] == expert;
            count += __popc(__ballot_sync(0xffffffffu, own));
        }
        if (lane == 0) counts[expert] = count;
    }
    __syncthreads();
    for (u32 expert = warp; expert < experts; expert += WARPS) {
        u32 at = 0;
        for (u32 before = 0; before < expert; before++) at += counts[before];
        for (u32 base = 0; base < slots; base += 32) {
            bool own = base + lane < slots && ids[base + lane] == expert;
            u32 mask = __ballot_sync(0xffffffffu, own);
            if (own) order[at + __popc(mask & ((1u << lane) - 1))] = base + lane;
            at += __popc(mask);
        }
    }
    if (threadIdx.x != 0) return;
    u32 tile = 0, first = 0;
    for (u32 expert = 0; expert < experts; expert++) {
        for (u32 done = 0; done < counts[expert]; done += rows) {
            u32 count = min(rows, counts[expert] - done);
            tiles[tile++] = {expert, first + done, count, 0};
        }
        first += counts[expert];
    }
    for (; tile < n_tiles; tile++) tiles[tile] = {0, 0, 0, 0};
}
