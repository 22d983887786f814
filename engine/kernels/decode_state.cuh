// What one decode step works on: shapes, arguments, the blackboard between blocks, shared memory.
// The shapes are compile-time constants given by whoever compiles (-D...); nothing here knows a
// model's name.
//
// Blocks of one launch talk through packets on a blackboard in global memory. A packet carries its
// own epoch (serial number of the token times layers plus layer), so that a reader polls the data
// itself: no flag, no fence, no barrier over the grid. A slot is written once per layer, and nobody
// can be a layer ahead of a reader, because every phase waits for all of the phase before it.
#pragma once
#include "decode_ptx.cuh"
#include "kv.cuh"
#include "step.cuh"

constexpr int EMBD = D_EMBD, HEADS = D_HEADS, KV_HEADS = D_KV_HEADS, HEAD_DIM = 64;
constexpr int FF = D_FF, EXPERTS = D_EXPERTS, TOP_K = 4, VOCAB = D_VOCAB, LAYERS = D_LAYERS;
constexpr int GROUP = HEADS / KV_HEADS;                  // query heads that share one KV head
constexpr int ATTN = HEADS * HEAD_DIM;                   // width of the attention's output
constexpr int KV_WIDTH = KV_HEADS * HEAD_DIM;
constexpr int QKV_ROWS = (HEADS + 2 * KV_HEADS) * HEAD_DIM;
static_assert(GROUP == 8 && EXPERTS == 32, "one warp holds a KV head's queries, or all logits");

constexpr int WARPS = 16;                                // consumer warps; one thread feeds them
constexpr int BLOCKS = D_BLOCKS;                         // one for each multiprocessor
constexpr int CONSUMERS = WARPS * 32;
constexpr int THREADS = CONSUMERS + 32;
constexpr int EMBD_WARPS = D_EMBD_WARPS, FF_WARPS = D_FF_WARPS, ATTN_WARPS = D_ATTN_WARPS;
constexpr int SLICE = EMBD / EMBD_WARPS;                 // a warp's share of the hidden vector
constexpr int PER_LANE = SLICE / 32;
static_assert(SLICE % 64 == 0, "a lane holds pairs of hidden values");

// The residual's rows are owned by blocks, in shares that depend on the model alone, so that sums
// over a share mean the same on every device. A unit is what one item of the ring holds of them.
constexpr int UNIT = 4, UNITS = EMBD / UNIT;
constexpr int OWN_UNITS = D_OWN_UNITS, OWN = UNIT * OWN_UNITS, SHARES = UNITS / OWN_UNITS;
static_assert(OWN <= 32 && UNITS % OWN_UNITS == 0, "a warp's lanes hold a share");
static_assert(SHARES <= BLOCKS, "a block owns at most one share");
constexpr int CHUNK = 32 * WARPS;                        // positions of one attention item

// Items: what one slot of the ring holds and all warps work on together.
constexpr int QKV_ITEM = 8 * EMBD / 32 * 34, QKV_ITEMS = QKV_ROWS / 8;
constexpr int OUT_ITEM = UNIT * ATTN / 32 * 34;
constexpr int GATE_ITEM = 16 * EMBD / 32 * 17, GATE_ITEMS = FF / 8;   // per expert
constexpr int DOWN_CODES = UNIT * FF / 2, DOWN_SCALES = UNIT * FF / 32;
constexpr int DOWN_WINDOW = DOWN_SCALES + DOWN_SCALES % 16;           // a unit may start on 8
static_assert(DOWN_SCALES % 8 == 0 && UNITS % 2 == 0, "two units of scales are whole copies");
constexpr int DOWN_ITEM = TOP_K * (DOWN_CODES + DOWN_WINDOW);
constexpr int HEAD_ITEMS = VOCAB / 8, HEAD_BATCH = 8;
constexpr int GATE_BATCH = 32;                           // items whose sums are kept at a time
// A block that adds nothing in a layer could fall behind and find its packets overwritten.
static_assert(QKV_ITEMS >= BLOCKS && TOP_K * GATE_ITEMS >= BLOCKS && HEAD_ITEMS >= BLOCKS,
              "every block has items");
constexpr u64 GATE_EXPERT = (u64)GATE_ITEM * GATE_ITEMS;
constexpr u64 DOWN_EXPERT = (u64)UNITS * (DOWN_CODES + DOWN_SCALES);

constexpr int SLOTS = 7, SLOT = 24576;
// Slots on their way at a time. Enough to keep the memory busy; more would only make the packets
// queue behind weights that nobody waits for yet.
constexpr int IN_FLIGHT = 2;
static_assert(QKV_ITEM <= SLOT && OUT_ITEM <= SLOT && GATE_ITEM <= SLOT && DOWN_ITEM <= SLOT,
              "every item fits in a slot");

struct DecodeLayer {
    const u8 *qkv, *out, *gate_up, *down;                // in the layouts of repack.cu
    const float *attn_norm, *qkv_bias, *sinks, *out_bias;
    const float *ffn_norm, *router, *router_bias;        // router: [EXPERTS][EMBD]
    const float *gate_bias, *up_bias, *down_bias;        // [EXPERTS][FF], [EXPERTS][EMBD]
    void *keys, *values;                                 // of this layer; see kv.cuh
    u32 window, capacity;                                // window 0: every position
};

// The row of this step, with the cosines and sines of its position.
struct DecodeStep {
    Row row;
    float cosines[HEAD_DIM / 2], sines[HEAD_DIM / 2];
};

struct Blackboard {
    u64 hidden_in[EMBD / 2], hidden_mid[EMBD / 2];       // two values of 24 bits, epoch of 16
    u64 qkv[QKV_ROWS];                                   // value, epoch
    u64 attended[ATTN / 2];                              // two f16, epoch
    u16 activated[TOP_K * FF];                           // f16 below one: bit 14 is the epoch's
    u64 router[SHARES][EXPERTS];                         // a share's part of each logit, epoch
    u64 best[BLOCKS][2];                                 // by block: logit, row
    u32 arrived[3][32];                                  // by kind: parts published, since ever
    u32 dealt[LAYERS + 1][32];                           // items taken, since ever; the head's last
    u32 failed;                                          // 1: this step met what is no number
};

// Kinds of values whose arrival is counted, and how many parts each has per layer.
constexpr int HIDDEN_IN = 0, HIDDEN_MID = 1, ACTIVATED = 2;
constexpr u32 PARTS_IN = UNITS, PARTS_MID = SHARES, PARTS_ACTIVATED = TOP_K * GATE_ITEMS;

struct DecodeArgs {
    const DecodeLayer* layers;
    const u8* embedding;                                 // Q8_0 as in the file
    const float* final_norm;
    const u8* head;
    const Row* row;
    const float *cosines, *sines;                        // of the row's position
    Blackboard* board;
    u64* partial;                                        // [chunk][HEADS][HEAD_DIM + 2]
    float* logits;                                       // null: only the best id is wanted
    u32* picked;                                         // where the best id goes
    u32* told;                                           // null, or the same to the host
    u32* routes;                                         // null, or [layers][TOP_K] ids
    float* taps;                                         // null, or [layers][2][EMBD]
    float eps;
    u32 serial;                                          // of this step, for epochs
};

#if D_KV_F16
typedef KvF16 Kv;
#else
typedef KvF32 Kv;
#endif

// Shared memory, in bytes.
constexpr int S_RING = 0;
constexpr int S_WORK = SLOTS * SLOT;                     // partial sums, or attention per warp
constexpr int HEAD_PAD = HEAD_DIM + 4;
constexpr int S_WORK_BYTES = WARPS * GROUP * (HEAD_PAD + 2) * 4;
constexpr int S_PART = S_WORK + S_WORK_BYTES;            // partial sums of out and down
constexpr int S_X = S_PART + OWN * 4 * WARPS * 4;        // the hidden vector as f16
constexpr int S_ROUTER = S_X + EMBD * 2;                 // router weights of the rows we own
constexpr int S_LOGITS = S_ROUTER + OWN * EXPERTS * 4;
constexpr int S_QUERY = S_LOGITS;                        // f16: queries, current key and value
constexpr int S_OWN = S_LOGITS + WARPS * EXPERTS * 4;    // residual of the rows we own
static_assert((GROUP + 2) * HEAD_DIM * 2 <= WARPS * EXPERTS * 4, "queries fit over logits");
constexpr int S_SUM = S_OWN + OWN * 4;
constexpr int S_ROUTE = S_SUM + 64 * 4;                  // ids, then weights, of the experts
constexpr int S_STEP = S_ROUTE + 2 * TOP_K * 4;
constexpr int S_LAYERS = S_STEP + (int)sizeof(DecodeStep);
constexpr int S_BARS = S_LAYERS + LAYERS * (int)sizeof(DecodeLayer);
constexpr int S_NOTES = S_BARS + (2 * SLOTS + 1) * 8;    // by slot: which item is in it
constexpr int S_LIST = S_NOTES + SLOTS * 4;              // items of a batch
constexpr int S_TOTAL = S_LIST + GATE_BATCH * 4;
static_assert(GATE_BATCH * EMBD_WARPS * 16 * 4 <= S_WORK_BYTES, "a batch's sums fit");
static_assert(S_TOTAL <= 232448 && S_LAYERS % 8 == 0 && S_SUM % 16 == 0,
              "one block takes a multiprocessor");
