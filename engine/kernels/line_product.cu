// The kernel of generated rows that multiplies: line_product.cuh has how. There is one of it,
// whatever stands before and behind the products, so that its code is there already when the next
// kernel of a token runs it: code that is not costs more than products do.
#include "activate.cuh"
#include "line_product.cuh"

#define MATRIX(NAME)                                                                             \
    const u8 *NAME##_data, const float *NAME##_bias, u32 NAME##_outputs, u32 NAME##_format,      \
        u32 NAME##_row_bytes, u32 NAME##_units, u32 NAME##_unit_bytes, u32 NAME##_part_units
#define AS_MATRIX(NAME)                                                                          \
    {NAME##_data, NAME##_bias, NAME##_outputs, NAME##_format, NAME##_row_bytes, NAME##_units,    \
     NAME##_unit_bytes, NAME##_part_units}

// What becomes of sums; the host knows them by these numbers. From LINE_SWIGLU to LINE_OAI_FAST two
// matrices stand side by side.
enum LineTarget {
    LINE_WRITE,
    LINE_ADD,
    LINE_SWIGLU,
    LINE_SWIGLU_FAST,
    LINE_OAI,
    LINE_OAI_FAST,
    LINE_GELU_ERF,
    LINE_GELU_TANH,
    LINE_GELU_TABLE
};

__device__ __forceinline__ float activated(u32 target, float sum, float up, float alpha,
                                           float limit) {
    switch (target) {
        case LINE_SWIGLU: return swiglu(sum, up);
        case LINE_SWIGLU_FAST: return swiglu_fast(sum, up);
        case LINE_OAI: return swiglu_oai(sum, up, alpha, limit);
        case LINE_OAI_FAST: return swiglu_oai_fast(sum, up, alpha, limit);
        case LINE_GELU_ERF: return gelu_erf(sum);
        case LINE_GELU_TANH: return gelu_tanh(sum);
        case LINE_GELU_TABLE: return gelu_f16_table(sum);
        default: return sum;
    }
}

// Rows come from `source`, and go to `out`, `stride` elements apart: all matrices' products one
// after the other, plus their biases; or added to what is there; or the function of gate and up, or
// of one product. Each block has `least` spans, the first `more` blocks one more. One block a
// multiprocessor: where it is of eight warps, ptxas would save registers for a second.
extern "C" __global__ void __launch_bounds__(THREADS, WARPS < 16) line_product(
    float *out, u32 stride, u32 target, float alpha, float limit, u32 width, u32 pitch, u32 kind,
    const float *x, const float *weight, const float *norm_bias, float epsilon,
    const float *partial, const Row *attended_rows, const float *sinks, u32 heads, u32 dim,
    u32 window, u32 rows, u32 together, u32 least, u32 more, u32 per, u32 parts, u32 inverse,
    const u32 *gather, const Row *step, const u32 *wanted, MATRIX(a), MATRIX(b), MATRIX(c)) {
    Source source = {kind,    x,
                     weight,  norm_bias,
                     epsilon, {partial, attended_rows, sinks, heads, dim, window}};
    Lines lines = {rows, together, gather, step, wanted};
    Deal deal = {least + (blockIdx.x < more), per, parts, inverse};
    bool gated = target >= LINE_SWIGLU && target <= LINE_OAI_FAST;
    Matrices all = {{AS_MATRIX(a), AS_MATRIX(b), AS_MATRIX(c)}, width, pitch, gated};
    auto at = [&](const Output &to) {
        return out + static_cast<u64>(to.row) * stride + to.column;
    };
    auto before = [&](const Output &to) { return target == LINE_ADD ? fresh1(at(to)) : 0.0f; };
    line_products(all, source, lines, deal, before, [&](const Output &to, const Sums &of) {
        float sum = to.with_bias(of.first), up = of.second;
        if (gated && b_bias) up = up + b_bias[to.index];
        *at(to) = target == LINE_ADD ? of.early + sum : activated(target, sum, up, alpha, limit);
    });
}
