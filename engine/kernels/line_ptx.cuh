// The instructions that the kernels of generated rows need and C++ has no word for. Knows PTX and
// which devices have it; knows no model, no layout and no step.
#pragma once
#include "number.cuh"

// Sixteen bytes from global to shared memory, not through registers.
__device__ __forceinline__ void copy16(void *to, const void *from) {
    u32 at = static_cast<u32>(__cvta_generic_to_shared(to));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(at), "l"(from) : "memory");
}

// Eight bytes likewise.
__device__ __forceinline__ void copy8(void *to, const void *from) {
    u32 at = static_cast<u32>(__cvta_generic_to_shared(to));
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(at), "l"(from) : "memory");
}

// What other kernels wrote, past the first-level cache: that may still hold what was there before.
__device__ __forceinline__ float4 fresh4(const float *at) {
    float4 x;
    asm volatile("ld.global.cg.v4.f32 {%0,%1,%2,%3}, [%4];"
                 : "=f"(x.x), "=f"(x.y), "=f"(x.z), "=f"(x.w) : "l"(at));
    return x;
}
__device__ __forceinline__ float fresh1(const float *at) {
    float x;
    asm volatile("ld.global.cg.f32 %0, [%1];" : "=f"(x) : "l"(at));
    return x;
}

// Closes a group of copies.
__device__ __forceinline__ void copies_end() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}

// Waits for this thread's copies, but for the last N groups.
template <int N>
__device__ __forceinline__ void copies_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

// Lets the kernel behind this one start: it may bring its weights while this one still computes.
__device__ __forceinline__ void let_next_start() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// Waits until the kernels ahead have ended. Nothing they write is read, and nothing they read is
// written, before this.
__device__ __forceinline__ void wait_for_last() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// c += a · b: a is 16 × 16 and b 16 × 8, both f16; sums are f32. Lane (g = lane / 4, t = lane % 4)
// holds of `a` rows g (a0, a2) and g + 8 (a1, a3), of `b` column g, and of `c` rows g (c0, c1) and
// g + 8 (c2, c3) of columns 2t and 2t + 1. Which numbers stand at the same place of a row of `a`
// and a column of `b` is free to choose.
__device__ __forceinline__ void multiply(float (&c)[4], u32 a0, u32 a1, u32 a2, u32 a3, uint2 b) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7},"
        " {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b.x), "r"(b.y));
}

// Sums of two pairs of f16, subnormal numbers included.
__device__ __forceinline__ u32 add_pairs(u32 a, u32 b) {
    u32 sum;
    asm("add.rn.f16x2 %0, %1, %2;" : "=r"(sum) : "r"(a), "r"(b));
    return sum;
}

// Four of the eight bytes of `a` and `b`, by number, the lowest first.
__device__ __forceinline__ u32 choose(u32 a, u32 b, u32 which) {
    u32 bytes;
    asm("prmt.b32 %0, %1, %2, %3;" : "=r"(bytes) : "r"(a), "r"(b), "r"(which));
    return bytes;
}
