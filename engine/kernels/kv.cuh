// Keys and values as they are kept: rings of positions, [slot, position % capacity, width].
#pragma once
#include "number.cuh"

struct KvF32 {
    typedef float Stored;
    static __device__ __forceinline__ float stored(float x) { return x; }
    static __device__ __forceinline__ float value(float x) { return x; }
};
// Rounded before first use, so that nothing depends on when it is read.
struct KvF16 {
    typedef u16 Stored;
    static __device__ __forceinline__ u16 stored(float x) { return f16_of_f32(x); }
    static __device__ __forceinline__ float value(u16 x) { return f32_of_f16(x); }
};

__device__ __forceinline__ u64 kv_at(u32 slot, u32 position, u32 capacity, u32 width) {
    return (static_cast<u64>(slot) * capacity + position % capacity) * width;
}
