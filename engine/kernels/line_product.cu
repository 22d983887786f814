// The kernels of generated rows that multiply: line_product.cuh has how.
#include "activate.cuh"
#include "line_product.cuh"

#define MATRIX(NAME)                                                                             \
    const u8 *NAME##_data, const float *NAME##_bias, u32 NAME##_outputs, u32 NAME##_format,      \
        u32 NAME##_row_bytes, u32 NAME##_units, u32 NAME##_per, u32 NAME##_unit_bytes
#define AS_MATRIX(NAME)                                                                          \
    {NAME##_data, NAME##_bias, NAME##_outputs, NAME##_format, NAME##_row_bytes, NAME##_units,    \
     NAME##_per, NAME##_unit_bytes}

// What all of them take: where rows come from, which, and where they go, `stride` elements apart.
#define COMMON                                                                                   \
    float *out, u32 stride, u32 width, u32 pitch, u32 kind, const float *x, const float *weight, \
        const float *norm_bias, float epsilon, const float *partial, const Row *attended_rows,   \
        const float *sinks, u32 heads, u32 dim, u32 window, u32 rows, const u32 *gather,         \
        const Row *step, const u32 *wanted
#define SOURCE                                                                                   \
    Source source = {kind,    x,                                                                 \
                     weight,  norm_bias,                                                         \
                     epsilon, {partial, attended_rows, sinks, heads, dim, window}};              \
    Lines lines = {rows, gather, step, wanted};

#define KERNEL extern "C" __global__ void __launch_bounds__(THREADS, 2)

// out[r, :] = all matrices' products with row r, one after the other, plus their biases.
KERNEL line_project(COMMON, MATRIX(a), MATRIX(b), MATRIX(c)) {
    SOURCE
    Matrices<3, false> all = {{AS_MATRIX(a), AS_MATRIX(b), AS_MATRIX(c)}, width, pitch};
    line_product(all, source, lines, [&](u32 row, const At &at, u32 o, auto &found) {
        float sum = total(found[o / TILE], row % ROWS, o % TILE);
        if (at.matrix.bias) sum = sum + at.matrix.bias[at.output + o];
        out[static_cast<u64>(row) * stride + at.column + o] = sum;
    });
}

// out[r, :] = out[r, :] + the product with row r, plus its bias.
KERNEL line_add(COMMON, MATRIX(a)) {
    SOURCE
    Matrices<1, false> all = {{AS_MATRIX(a)}, width, pitch};
    line_product(all, source, lines, [&](u32 row, const At &at, u32 o, auto &found) {
        float sum = total(found[o / TILE], row % ROWS, o % TILE);
        if (at.matrix.bias) sum = sum + at.matrix.bias[at.output + o];
        float *to = out + static_cast<u64>(row) * stride + at.output + o;
        *to = fresh1(to) + sum;
    });
}

// out[r, :] = the function of gate and up: 0 in f64, 1 in f32, and two more with clamps.
KERNEL line_gated(COMMON, MATRIX(a), MATRIX(b), float alpha, float limit, u32 how) {
    SOURCE
    Matrices<2, true> all = {{AS_MATRIX(a), AS_MATRIX(b)}, width, pitch};
    line_product(all, source, lines, [&](u32 row, const At &at, u32 o, auto &found) {
        float gate = total(found[0], row % ROWS, o), up = total(found[1], row % ROWS, o);
        if (a_bias) gate = gate + a_bias[at.output + o];
        if (b_bias) up = up + b_bias[at.output + o];
        float y = how == 0   ? swiglu(gate, up)
                  : how == 1 ? swiglu_fast(gate, up)
                  : how == 2 ? swiglu_oai(gate, up, alpha, limit)
                             : swiglu_oai_fast(gate, up, alpha, limit);
        out[static_cast<u64>(row) * stride + at.output + o] = y;
    });
}

// out[r, :] = the function of one product: 0 by the error function, 1 by the hyperbolic tangent, 2
// by ggml's table.
KERNEL line_bent(COMMON, MATRIX(a), u32 how) {
    SOURCE
    Matrices<1, false> all = {{AS_MATRIX(a)}, width, pitch};
    line_product(all, source, lines, [&](u32 row, const At &at, u32 o, auto &found) {
        float sum = total(found[o / TILE], row % ROWS, o % TILE);
        if (at.matrix.bias) sum = sum + at.matrix.bias[at.output + o];
        float y = how == 0 ? gelu_erf(sum) : how == 1 ? gelu_tanh(sum) : gelu_f16_table(sum);
        out[static_cast<u64>(row) * stride + at.output + o] = y;
    });
}
