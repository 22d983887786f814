// Functions of one number in f64, out of additions, multiplications and divisions only: the same
// operations in the same order as engine/src/backend/cpu/math.rs, so both give the same bits, on
// every device and with every compiler.
#pragma once
#include "number.cuh"

__device__ __forceinline__ double f64_of_bits(u64 bits) {
    return __longlong_as_double(static_cast<long long>(bits));
}

// 2^k for a normal result.
__device__ __forceinline__ double power_of_two(int k) {
    return f64_of_bits(static_cast<u64>(k + 1023) << 52);
}

// x = k · ln 2 + r with |r| <= ln 2 / 2.
__device__ __forceinline__ double split_exponent(double x, int *k) {
    const double LN2_HIGH = f64_of_bits(0x3fe62e42fee00000ull);
    const double LN2_LOW = f64_of_bits(0x3dea39ef35793c76ull);
    double whole = rint(x * f64_of_bits(0x3ff71547652b82feull));
    *k = static_cast<int>(whole);
    return (x - whole * LN2_HIGH) - whole * LN2_LOW;
}

__device__ __forceinline__ double scaled(double x, int k) {
    // In two steps where one alone would leave the range of normal numbers.
    if (k < -1000) return x * power_of_two(k + 200) * power_of_two(-200);
    return x * power_of_two(k);
}

__device__ inline double exp_f64(double x) {
    if (x != x) return x;
    if (x > 709.0) return f64_of_bits(0x7FF0000000000000ull);
    if (x < -745.0) return 0.0;
    int k;
    double r = split_exponent(x, &k), sum = 1.0;
    for (int n = 13; n >= 1; n--) sum = 1.0 + sum * r / static_cast<double>(n);
    return scaled(sum, k);
}

// e to the power of x <= 0 without a division, for sums over thousands of positions: the last bit
// of an f64 may differ from exp_f64, and an f32 made of it all but never does.
__device__ __forceinline__ double exp_of_negative(double x) {
    if (x != x) return x;
    if (x < -745.0) return 0.0;
    int k;
    double r = split_exponent(x, &k), sum = 1.0 / 6227020800.0;
    const double FACTORIALS[12] = {479001600.0, 39916800.0, 3628800.0, 362880.0, 40320.0, 5040.0,
                                   720.0,       120.0,      24.0,      6.0,      2.0,     1.0};
#pragma unroll
    for (int n = 0; n < 12; n++) sum = fma(sum, r, 1.0 / FACTORIALS[n]);
    return scaled(fma(sum, r, 1.0), k);
}

__device__ __forceinline__ double sigmoid_f64(double x) {
    double e = exp_of_negative(-fabs(x)), share = 1.0 / (1.0 + e);
    return x < 0.0 ? e * share : share;
}

__device__ inline double tanh_f64(double x) {
    if (fabs(x) < 1e-3) return x - x * x * x / 3.0;
    double e = exp_f64(-2.0 * fabs(x));
    double t = (1.0 - e) / (1.0 + e);
    return x < 0.0 ? -t : t;
}

__device__ inline double erf_f64(double x) {
    double a = fabs(x);
    if (a > 6.0) return x < 0.0 ? -1.0 : 1.0;
    double term = a, sum = a, n = 1.0;
    while (term > sum * 1e-17) {
        term *= 2.0 * a * a / (2.0 * n + 1.0);
        sum += term;
        n += 1.0;
    }
    double value = 2.0 / sqrt(3.14159265358979323846) * exp_f64(-a * a) * sum;
    return x < 0.0 ? -value : value;
}
