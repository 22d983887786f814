// Picks the best-scored experts of each row and shares one among them. One warp a row.
#include "math.cuh"

// Whether expert `id` with score `a` goes before `other` with score `b`: the better score, and the
// lower id among equals; +0 and -0 are equal, and a score that is no number comes last.
__device__ bool before(float a, u32 id, float b, u32 other) {
    float least = __uint_as_float(0xFF800000);
    a = a != a ? least : a;
    b = b != b ? least : b;
    return a > b || (a == b && id < other);
}

__device__ bool picked(const u32 *ids, u32 count, u32 id) {
    for (u32 i = 0; i < count; i++) {
        if (ids[i] == id) return true;
    }
    return false;
}

// ids[r, :used] by falling score; shares[r, :used] a softmax over their scores. Grid: rows.
extern "C" __global__ void __launch_bounds__(32) route_f32(u32 *ids, float *shares,
                                                           const float *scores, u32 experts,
                                                           u32 used) {
    const u32 NONE = 0xffffffffu;
    const float *row = scores + static_cast<u64>(blockIdx.x) * experts;
    ids += static_cast<u64>(blockIdx.x) * used;
    shares += static_cast<u64>(blockIdx.x) * used;
    u32 lane = threadIdx.x;
    for (u32 k = 0; k < used; k++) {
        u32 best = NONE;
        for (u32 id = lane; id < experts; id += 32) {
            if (picked(ids, k, id)) continue;
            if (best == NONE || before(row[id], id, row[best], best)) best = id;
        }
        for (int step = 16; step > 0; step /= 2) {
            u32 other = __shfl_xor_sync(0xffffffffu, best, step);
            if (other == NONE) continue;
            if (best == NONE || before(row[other], other, row[best], best)) best = other;
        }
        if (lane == 0) ids[k] = best;
        // The next round reads what was picked.
        __syncwarp();
    }
    if (lane != 0) return;
    double top = static_cast<double>(row[ids[0]]), sum = 0.0;
    for (u32 k = 0; k < used; k++) sum += exp_f64(static_cast<double>(row[ids[k]]) - top);
    for (u32 k = 0; k < used; k++) {
        shares[k] = static_cast<float>(exp_f64(static_cast<double>(row[ids[k]]) - top) / sum);
    }
}
