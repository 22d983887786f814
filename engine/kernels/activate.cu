// The functions between the projections of a feed-forward network, in place of what goes up, and
// the same in f16 where somebody wants that (see round.cuh).
#include "activate.cuh"
#include "round.cuh"

constexpr int THREADS = 256;

// up[r] = of(gate[r], up[r]), element by element. Grid: rows.
template <class Of>
__device__ __forceinline__ void activate(float *up, const float *gate, u32 width, u16 *halves,
                                         float *undo, u32 stride, Of of) {
    const u64 row = blockIdx.x;
    up += row * width;
    gate += gate ? row * width : 0;
    float top = 0.0f;
    for (u32 i = threadIdx.x; i < width; i += THREADS) {
        float value = of(gate ? gate[i] : 0.0f, up[i]);
        up[i] = value;
        top = fmaxf(top, fabsf(value));
    }
    if (halves) round_row<THREADS>(halves + row * stride, undo + row, up, width, stride, top);
}

#define ACTIVATE(NAME)                                                                      \
    extern "C" __global__ void __launch_bounds__(THREADS)                                   \
        NAME(float *up, const float *gate, u32 width, u16 *halves, float *undo, u32 stride, \
             float alpha, float limit)

ACTIVATE(activate_swiglu_f32) {
    auto of = [](float gate, float up) { return swiglu(gate, up); };
    activate(up, gate, width, halves, undo, stride, of);
}

ACTIVATE(activate_swiglu_oai_f32) {
    auto of = [=](float gate, float up) { return swiglu_oai(gate, up, alpha, limit); };
    activate(up, gate, width, halves, undo, stride, of);
}

ACTIVATE(activate_swiglu_fast) {
    auto of = [](float gate, float up) { return swiglu_fast(gate, up); };
    activate(up, gate, width, halves, undo, stride, of);
}

ACTIVATE(activate_swiglu_oai_fast) {
    auto of = [=](float gate, float up) { return swiglu_oai_fast(gate, up, alpha, limit); };
    activate(up, gate, width, halves, undo, stride, of);
}

ACTIVATE(activate_gelu_erf_f32) {
    auto of = [](float, float up) { return gelu_erf(up); };
    activate(up, gate, width, halves, undo, stride, of);
}

ACTIVATE(activate_gelu_tanh_f32) {
    auto of = [](float, float up) { return gelu_tanh(up); };
    activate(up, gate, width, halves, undo, stride, of);
}

ACTIVATE(activate_gelu_f16_table_f32) {
    auto of = [](float, float up) { return gelu_f16_table(up); };
    activate(up, gate, width, halves, undo, stride, of);
}
