// One generated token in one launch: embedding, every layer, head, argmax.
//
// One block per multiprocessor stays for the whole token. Its producer thread streams the block's
// share of all weights through a ring, in order and as far ahead as the ring is deep; sixteen
// warps consume it. Blocks meet only through the blackboard (decode_state.cuh), so that weights
// keep arriving while values travel. Only the experts' weights have to wait for something: the ids.
//
// Everything that changes from token to token (id, position, serial number) is in the step, on the
// device, and the launch itself is always the same.
#include "decode_guard.cuh"
#if DECODE_FITS
#include "decode_dense.cuh"
#include "decode_experts.cuh"

__device__ __forceinline__ u32 layer_of(const DecodeArgs& args, const Place& at) {
    return at.epoch - 1 - args.serial * LAYERS;
}

// Waits for this warp's share of a hidden vector and leaves its sum of squares for the norm.
__device__ __forceinline__ void hidden_wait(const DecodeArgs& args, const u64* from, int kind,
                                            u32 parts, float (&hidden)[PER_LANE],
                                            const Place& at) {
    if (at.warp == WARPS - 1) await_parts(args.board, kind, parts);
    consumers_meet();
    if (at.warp >= EMBD_WARPS) return;
    hidden_take(from + (at.warp * SLICE + at.lane * PER_LANE) / 2, hidden, at.epoch);
    norm_share(hidden, at);
}

__device__ __forceinline__ void attention_block(const DecodeArgs& args, const DecodeLayer& layer,
                                                const DecodeStep& step, Ring& ring, float* taps,
                                                Place& at) {
    at.again();
    {
        float hidden[PER_LANE] = {}, weights[PER_LANE] = {};
        norm_weights(layer.attn_norm, weights, at);
        if (layer_of(args, at) != 0) {
            hidden_wait(args, args.board->hidden_in, HIDDEN_IN, (at.epoch - 1) * PARTS_IN, hidden,
                        at);
        } else if (at.warp < EMBD_WARPS) {
            embed(args.embedding, step.row.token, hidden, at);
            norm_share(hidden, at);
        }
        consumers_meet();
        if (at.warp < EMBD_WARPS) norm_apply(hidden, weights, norm_scale(args.eps, at), at);
    }
    project_qkv(args, layer, step, ring, at);
    at.again();
    attend(args, layer, step, at);
    at.again();
    project_out(args, layer, ring, taps, at);
}

__device__ __forceinline__ void expert_block(const DecodeArgs& args, const DecodeLayer& layer,
                                             Ring& ring, float* taps, Place& at) {
    at.again();
    {
        float hidden[PER_LANE] = {}, weights[PER_LANE] = {};
        norm_weights(layer.ffn_norm, weights, at);
        const float bias = __ldg(layer.router_bias + at.lane);
        hidden_wait(args, args.board->hidden_mid, HIDDEN_MID, at.epoch * PARTS_MID, hidden, at);
        router_share(args.board, at);
        consumers_meet();
        const float scale = norm_scale(args.eps, at);
        if (at.warp == WARPS - 1) choose(args, scale, bias, layer_of(args, at), at);
        if (at.warp < EMBD_WARPS) norm_apply(hidden, weights, scale, at);
    }
    gate_up(args, layer, layer_of(args, at), ring, at);
    at.again();
    down(args, layer, ring, taps, at);
}

__device__ __forceinline__ void consume(const DecodeArgs& args, Place at) {
    const DecodeStep& step = *(const DecodeStep*)(at.shared + S_STEP);
    Ring ring(at.smem, 0);
    embed_own(args.embedding, step.row.token, at);
    at.epoch = args.serial * LAYERS + 1;
    while (true) {
        at.again();
        const u32 l = layer_of(args, at);
        if (l == LAYERS) break;
        float* taps = args.taps ? args.taps + (u64)l * 2 * EMBD : nullptr;
        const DecodeLayer& layer = ((const DecodeLayer*)(at.shared + S_LAYERS))[l];
        attention_block(args, layer, step, ring, taps, at);
        expert_block(args, layer, ring, taps ? taps + EMBD : nullptr, at);
        at.epoch++;
    }
    {
        float hidden[PER_LANE] = {}, weights[PER_LANE] = {};
        norm_weights(args.final_norm, weights, at);
        hidden_wait(args, args.board->hidden_in, HIDDEN_IN, (at.epoch - 1) * PARTS_IN, hidden, at);
        consumers_meet();
        if (at.warp < EMBD_WARPS) norm_apply(hidden, weights, norm_scale(args.eps, at), at);
    }
    pick(args, head_items(args, ring, at), at);
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    decode_token(const DecodeLayer* layers, const u8* embedding, const float* final_norm,
                 const u8* head, const Row* row, const float* cosines, const float* sines,
                 Blackboard* board, u64* partial, float* logits, u32* picked, u32* told,
                 u32* routes, float* taps, float eps, u32 serial) {
    const DecodeArgs args = {layers, embedding, final_norm, head, row,    cosines, sines, board,
                             partial, logits,   picked,     told, routes, taps,    eps,   serial};
    extern __shared__ __align__(128) u8 shared[];
    const u32 smem = smem_addr(shared);
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    for (int i = thread; i < LAYERS * (int)sizeof(DecodeLayer) / 8; i += THREADS)
        ((u64*)(shared + S_LAYERS))[i] = __ldg((const u64*)layers + i);
    DecodeStep& step = *(DecodeStep*)(shared + S_STEP);
    if (thread < HEAD_DIM / 2) step.cosines[thread] = __ldg(cosines + thread);
    else if (thread < HEAD_DIM)
        step.sines[thread - HEAD_DIM / 2] = __ldg(sines + thread - HEAD_DIM / 2);
    else if (thread == HEAD_DIM) step.row = *row;
    if (thread == 0 && blockIdx.x == 0) board->failed = 0;
    if (thread == CONSUMERS) {
        for (int i = 0; i < SLOTS; i++) {
            mbar_init(smem + S_BARS + 8 * i, 1);
            mbar_init(smem + S_BARS + 8 * (SLOTS + i), WARPS);
        }
        mbar_init(smem + S_BARS + 16 * SLOTS, 1);
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    __syncthreads();
    if (warp == WARPS) {
        if (lane == 0) produce(args, smem, shared);
    } else {
        consume(args, Place{warp, lane, (int)blockIdx.x, smem, 0, shared});
    }
}
#endif
