// Finds stored numbers that are none: what no sound file holds, looked for on the device because a
// large model takes the host longer than its copy.
#include "weight.cuh"

// Lowers `first` to the first block of `count` that decodes to NaN, or to infinity where a sound
// block cannot, and raises `most` to the largest finite magnitude, whose bits order as it does.
// Blocks of formats without blocks are single elements.
template <class F>
__device__ void check(u64 *first, u32 *most, const u8 *data, u64 count) {
    u32 top = 0;
    for (u64 block = static_cast<u64>(blockIdx.x) * blockDim.x + threadIdx.x; block < count;
         block += static_cast<u64>(gridDim.x) * blockDim.x) {
        bool bad = false;
        for (u32 k = 0; k < F::LEN; k += 8) {
            float w[8];
            eight<F>(data + block * F::BYTES, k, F::LEN, w);
            for (int i = 0; i < 8 && k + i < F::LEN; i++) {
                bad |= w[i] != w[i] || (!F::INFINITE && isinf(w[i]));
                if (isfinite(w[i])) top = max(top, __float_as_uint(fabsf(w[i])));
            }
        }
        if (bad) atomicMin(first, block);
    }
    top = __reduce_max_sync(0xffffffffu, top);
    if (threadIdx.x % 32 == 0 && top > 0) atomicMax(most, top);
}

#define CHECK(FORMAT, NAME)                                                                      \
    extern "C" __global__ void check_##NAME(u64 *first, u32 *most, const u8 *data, u64 count) {  \
        check<FORMAT>(first, most, data, count);                                                 \
    }
EACH_FORMAT(CHECK)
