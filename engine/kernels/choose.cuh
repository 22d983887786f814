// What the kernels that look for the largest logits share: how an id is told, and which is none.
#pragma once
#include "number.cuh"

// Instead of an id: logits that hold what is no number, and no logit at all.
constexpr u32 NO_NUMBER = 0xfffffffeu, NO_ID = 0xffffffffu;

__device__ __forceinline__ float infinity() { return __uint_as_float(0x7F800000); }
__device__ __forceinline__ bool finite(float x) { return fabsf(x) <= 3.402823466e38f; }

__device__ __forceinline__ void tell(u32 *told, u32 id) {
    if (told) *(volatile u32 *)told = id;
}
