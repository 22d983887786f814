// Keeps keys and values of all rows of a batch.
#include "kv.cuh"
#include "step.cuh"

// Grid: (elements of a row, rows).
template <class Kv>
__device__ void store(typename Kv::Stored *keys, typename Kv::Stored *values, const float *k,
                      const float *v, const Row *rows, u32 width, u32 capacity) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= width) return;
    Row row = rows[blockIdx.y];
    u64 to = kv_at(row.slot, row.position, capacity, width) + i;
    u64 from = static_cast<u64>(blockIdx.y) * width + i;
    keys[to] = Kv::stored(k[from]);
    values[to] = Kv::stored(v[from]);
}

extern "C" __global__ void store_kvf32(float *keys, float *values, const float *k, const float *v,
                                       const Row *rows, u32 width, u32 capacity) {
    store<KvF32>(keys, values, k, v, rows, width, capacity);
}

extern "C" __global__ void store_kvf16(u16 *keys, u16 *values, const float *k, const float *v,
                                       const Row *rows, u32 width, u32 capacity) {
    store<KvF16>(keys, values, k, v, rows, width, capacity);
}
