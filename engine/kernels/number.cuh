// Numbers as files store them, and as kernels compute with them: the only conversions there are.
// Needs no header of the toolkit, so that the compiler's library alone is enough to build.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

// IEEE half, by its bits.
__device__ __forceinline__ float f32_of_f16(u16 bits) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}

// Round to nearest even; beyond 65,504 gives infinity.
__device__ __forceinline__ u16 f16_of_f32(float value) {
    u16 bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}

__device__ __forceinline__ float f32_of_bf16(u16 bits) {
    return __uint_as_float(static_cast<u32>(bits) << 16);
}

// Asks for a line of memory to be brought to the second-level cache.
__device__ __forceinline__ void l2_prefetch(const void *at) {
    asm volatile("prefetch.global.L2 [%0];" ::"l"(at) : "memory");
}
