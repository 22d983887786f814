// The kernels of generated rows that multiply: line_product.cuh has how.
#include "activate.cuh"
#include "line_product.cuh"

#define MATRIX(NAME)                                                                             \
    const u8 *NAME##_data, const float *NAME##_bias, u32 NAME##_outputs, u32 NAME##_format,      \
        u32 NAME##_row_bytes, u32 NAME##_units, u32 NAME##_unit_bytes, u32 NAME##_part_units
#define AS_MATRIX(NAME)                                                                          \
    {NAME##_data, NAME##_bias, NAME##_outputs, NAME##_format, NAME##_row_bytes, NAME##_units,    \
     NAME##_unit_bytes, NAME##_part_units}

// What all of them take: where rows come from, which, and where they go, `stride` elements apart;
// and how many spans each block has at least, with one more for the first `more` blocks.
#define COMMON                                                                                   \
    float *out, u32 stride, u32 width, u32 pitch, u32 kind, const float *x, const float *weight, \
        const float *norm_bias, float epsilon, const float *partial, const Row *attended_rows,   \
        const float *sinks, u32 heads, u32 dim, u32 window, u32 rows, u32 together, u32 least,   \
        u32 more, u32 per, u32 parts, u32 inverse, const u32 *gather, const Row *step,           \
        const u32 *wanted
#define SOURCE                                                                                   \
    Source source = {kind,    x,                                                                 \
                     weight,  norm_bias,                                                         \
                     epsilon, {partial, attended_rows, sinks, heads, dim, window}};              \
    Lines lines = {rows, together, gather, step, wanted};                                        \
    Deal deal = {least + (blockIdx.x < more), per, parts, inverse};

// For outputs that depend on their sums alone.
__device__ __forceinline__ float nothing(const Output &) { return 0.0f; }

// One block a multiprocessor: where it is of eight warps, ptxas would save registers for a second.
#define KERNEL extern "C" __global__ void __launch_bounds__(THREADS, WARPS < 16)

// out[r, :] = all matrices' products with row r, one after the other, plus their biases.
KERNEL line_project(COMMON, MATRIX(a), MATRIX(b), MATRIX(c)) {
    SOURCE
    Matrices<3, false> all = {{AS_MATRIX(a), AS_MATRIX(b), AS_MATRIX(c)}, width, pitch};
    line_product(all, source, lines, deal, nothing, [&](const Output &to, const Sums &of) {
        out[static_cast<u64>(to.row) * stride + to.column] = to.with_bias(of.first);
    });
}

// out[r, :] = out[r, :] + the product with row r, plus its bias.
KERNEL line_add(COMMON, MATRIX(a)) {
    SOURCE
    Matrices<1, false> all = {{AS_MATRIX(a)}, width, pitch};
    auto at = [&](const Output &to) {
        return out + static_cast<u64>(to.row) * stride + to.column;
    };
    auto before = [&](const Output &to) { return fresh1(at(to)); };
    line_product(all, source, lines, deal, before, [&](const Output &to, const Sums &of) {
        *at(to) = of.early + to.with_bias(of.first);
    });
}

// out[r, :] = the function of gate and up: 0 in f64, 1 in f32, and two more with clamps.
KERNEL line_gated(COMMON, MATRIX(a), MATRIX(b), float alpha, float limit, u32 how) {
    SOURCE
    Matrices<2, true> all = {{AS_MATRIX(a), AS_MATRIX(b)}, width, pitch};
    line_product(all, source, lines, deal, nothing, [&](const Output &to, const Sums &of) {
        float gate = to.with_bias(of.first), up = of.second;
        if (b_bias) up = up + b_bias[to.index];
        float y = how == 0   ? swiglu(gate, up)
                  : how == 1 ? swiglu_fast(gate, up)
                  : how == 2 ? swiglu_oai(gate, up, alpha, limit)
                             : swiglu_oai_fast(gate, up, alpha, limit);
        out[static_cast<u64>(to.row) * stride + to.column] = y;
    });
}

// out[r, :] = the function of one product: 0 by the error function, 1 by the hyperbolic tangent, 2
// by ggml's table.
KERNEL line_bent(COMMON, MATRIX(a), u32 how) {
    SOURCE
    Matrices<1, false> all = {{AS_MATRIX(a)}, width, pitch};
    line_product(all, source, lines, deal, nothing, [&](const Output &to, const Sums &of) {
        float sum = to.with_bias(of.first);
        float y = how == 0 ? gelu_erf(sum) : how == 1 ? gelu_tanh(sum) : gelu_f16_table(sum);
        out[static_cast<u64>(to.row) * stride + to.column] = y;
    });
}
