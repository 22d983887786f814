// The ring of weight slots in shared memory: one thread fills it in the order in which the consumer
// warps will need the items, as far ahead as there is room, over all phases of the token.
// Knows where an item's bytes are; knows nothing of what is computed from them.
#pragma once
#include "decode_state.cuh"

constexpr u32 NO_ITEM = 0xffffffffu;                     // ends a sequence of dealt items

struct Ring {
    u32 base, full, empty;
    int slot;
    u32 phase, claimed;

    __device__ __forceinline__ Ring(u32 smem, u32 first_phase)
        : base(smem + S_RING), full(smem + S_BARS), empty(smem + S_BARS + 8 * SLOTS), slot(0),
          phase(first_phase), claimed(0) {}

    __device__ __forceinline__ void advance() {
        if (++slot == SLOTS) {
            slot = 0;
            phase ^= 1;
        }
    }

    // Consumer: waits for the next item and says where it is.
    __device__ __forceinline__ u32 take() const {
        mbar_wait(full + 8 * slot, phase);
        return base + slot * SLOT;
    }

    // Consumer: which of the dealt items the slot holds. After `take`.
    __device__ __forceinline__ u32 note() const {
        return lds32(full - S_BARS + S_NOTES + 4 * slot);
    }

    // Consumer: this warp has read all it needs of the item.
    __device__ __forceinline__ void release(int lane) {
        __syncwarp();
        if (lane == 0) mbar_arrive(empty + 8 * slot);
        advance();
    }

    // Producer: waits for a free slot and until few enough are on their way, and announces what
    // will come, with a note to whoever takes it.
    __device__ __forceinline__ u32 claim(u32 bytes, u32 note = 0) {
        mbar_wait(empty + 8 * slot, phase);
        if (claimed >= IN_FLIGHT) {
            const bool wrapped = slot < IN_FLIGHT;       // the one to wait for is a round behind
            const int before = wrapped ? slot + SLOTS - IN_FLIGHT : slot - IN_FLIGHT;
            mbar_wait(full + 8 * before, wrapped ? phase : phase ^ 1);
        }
        claimed++;
        sts32(full - S_BARS + S_NOTES + 4 * slot, note);
        mbar_expect(full + 8 * slot, bytes);
        return base + slot * SLOT;
    }
};

// Items first, first + stride, ... below `count`.
__device__ __forceinline__ void feed(Ring& ring, const u8* items, int bytes, int first, int count,
                                     int stride, u64 policy) {
    for (int i = first; i < count; i += stride) {
        const u32 dst = ring.claim(bytes);
        bulk_load(dst, items + (u64)i * bytes, bytes, ring.full + 8 * ring.slot, policy);
        ring.advance();
    }
}

// Items of a kind that all blocks share, dealt out as they are asked for: a block that the memory
// serves late takes fewer. The first is its own; of the others each block takes one after another
// until there is none, so that a counter grows by `count` from token to token.
struct Deal {
    u32* counter;
    u32 start, item, next;

    __device__ __forceinline__ Deal(Blackboard* board, int kind, u32 serial, u32 count, u32 block)
        : counter(board->dealt[kind]), start(serial * count - BLOCKS), item(block) {
        next = shared_count_from(counter) - start;
    }

    __device__ __forceinline__ void advance(u32 count) {
        item = next;
        if (item < count) next = shared_count_from(counter) - start;
    }
};

__device__ __forceinline__ void feed_head(Ring& ring, const DecodeArgs& args, int block,
                                          u64 policy) {
    Deal deal(args.board, LAYERS, args.serial, HEAD_ITEMS, block);
    while (deal.item < HEAD_ITEMS) {
        const u32 dst = ring.claim(QKV_ITEM, deal.item);
        bulk_load(dst, args.head + (u64)deal.item * QKV_ITEM, QKV_ITEM, ring.full + 8 * ring.slot,
                  policy);
        ring.advance();
        deal.advance(HEAD_ITEMS);
    }
    ring.claim(0, NO_ITEM);
    ring.advance();
}

// The four chosen experts' gate and up rows, then their down rows: a unit of down takes the same
// rows of all four.
__device__ __forceinline__ void feed_experts(Ring& ring, const DecodeLayer& layer, const u32* ids,
                                             Deal deal, int block, u64 policy) {
    while (deal.item < TOP_K * GATE_ITEMS) {
        const u32 expert = ids[deal.item / GATE_ITEMS], item = deal.item % GATE_ITEMS;
        const u64 row = (u64)expert * FF + item * 8;
        l2_prefetch(layer.gate_bias + row);
        l2_prefetch(layer.up_bias + row);
        const u32 dst = ring.claim(GATE_ITEM, deal.item);
        bulk_load(dst, layer.gate_up + expert * GATE_EXPERT + (u64)item * GATE_ITEM, GATE_ITEM,
                  ring.full + 8 * ring.slot, policy);
        ring.advance();
        deal.advance(TOP_K * GATE_ITEMS);
    }
    ring.claim(0, NO_ITEM);
    ring.advance();
    for (int i = block * OWN_UNITS; i < min(UNITS, (block + 1) * OWN_UNITS); i++) {
        const u32 dst = ring.claim(DOWN_ITEM), bar = ring.full + 8 * ring.slot;
        const u64 scales = (u64)UNITS * DOWN_CODES + ((u64)i * DOWN_SCALES & ~15ull);
        for (int s = 0; s < TOP_K; s++) {
            const u8* expert = layer.down + ids[s] * DOWN_EXPERT;
            bulk_load(dst + s * DOWN_CODES, expert + (u64)i * DOWN_CODES, DOWN_CODES, bar, policy);
            bulk_load(dst + TOP_K * DOWN_CODES + s * DOWN_WINDOW, expert + scales, DOWN_WINDOW, bar,
                      policy);
        }
        ring.advance();
    }
}

__device__ __forceinline__ void produce(const DecodeArgs& args, u32 smem, const u8* shared) {
    const int block = blockIdx.x, own = block * OWN_UNITS;
    const u64 policy = evict_first_policy();
    const u32 routed = smem + S_BARS + 16 * SLOTS;
    Ring ring(smem, 1);
    for (u32 l = 0; l < (u32)LAYERS; l++) {
        const DecodeLayer& layer = ((const DecodeLayer*)(shared + S_LAYERS))[l];
        feed(ring, layer.qkv, QKV_ITEM, block, QKV_ITEMS, BLOCKS, policy);
        feed(ring, layer.out, OUT_ITEM, own, min(UNITS, own + OWN_UNITS), 1, policy);
        const Deal deal(args.board, l, args.serial, TOP_K * GATE_ITEMS, block);
        mbar_wait(routed, l & 1);
        feed_experts(ring, layer, (const u32*)(shared + S_ROUTE), deal, block, policy);
    }
    feed_head(ring, args, block, policy);
}
