// Sorts what experts were picked for by expert, so that rows of one expert can share its weights.
#include "number.cuh"

constexpr int THREADS = 1024, WARPS = THREADS / 32;

// Rows of one expert that a block multiplies: `count` from `first` on in `order`.
struct Tile {
    u32 expert, first, count, unused;
};

// The sum over a block, in every thread.
__device__ __forceinline__ u32 block_total(u32 x, u32 *scratch) {
    x = __reduce_add_sync(0xffffffffu, x);
    __syncthreads();
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = x;
    __syncthreads();
    return __reduce_add_sync(0xffffffffu, scratch[threadIdx.x % 32]);
}

// counts[e] = how many slots are expert e's. Grid: experts.
extern "C" __global__ void __launch_bounds__(THREADS) group_counts(u32 *counts, const u32 *ids,
                                                                   u32 slots) {
    __shared__ u32 scratch[WARPS];
    u32 count = 0;
    for (u32 slot = threadIdx.x; slot < slots; slot += THREADS) count += ids[slot] == blockIdx.x;
    count = block_total(count, scratch);
    if (threadIdx.x == 0) counts[blockIdx.x] = count;
}

// order[..slots] holds all slots by expert, those of one expert as they stood. `tiles` covers it in
// pieces of at most `rows`; those past the last hold nothing. Grid: experts, no more than threads.
extern "C" __global__ void __launch_bounds__(THREADS) group_slots(
    u32 *order, Tile *tiles, const u32 *counts, const u32 *ids, u32 slots, u32 rows, u32 n_tiles) {
    __shared__ u32 scratch[WARPS];
    const u32 expert = blockIdx.x, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const u32 count = threadIdx.x < gridDim.x ? counts[threadIdx.x] : 0;
    const u32 pieces = (count + rows - 1) / rows;
    const u32 first = block_total(threadIdx.x < expert ? count : 0, scratch);
    const u32 first_tile = block_total(threadIdx.x < expert ? pieces : 0, scratch);
    const u32 used = block_total(pieces, scratch), own = counts[expert];
    u32 at = first;
    for (u32 base = 0; base < slots; base += THREADS) {
        u32 slot = base + threadIdx.x;
        bool here = slot < slots && ids[slot] == expert;
        u32 mask = __ballot_sync(0xffffffffu, here);
        __syncthreads();
        if (lane == 0) scratch[warp] = __popc(mask);
        __syncthreads();
        u32 of_warp = scratch[lane];
        u32 before = __reduce_add_sync(0xffffffffu, lane < warp ? of_warp : 0);
        if (here) order[at + before + __popc(mask & ((1u << lane) - 1))] = slot;
        at += __reduce_add_sync(0xffffffffu, of_warp);
    }
    for (u32 i = threadIdx.x; i * rows < own; i += THREADS) {
        tiles[first_tile + i] = {expert, first + i * rows, min(rows, own - i * rows), 0};
    }
    if (expert > 0) return;
    for (u32 i = used + threadIdx.x; i < n_tiles; i += THREADS) tiles[i] = {0, 0, 0, 0};
}
