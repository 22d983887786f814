//! Functions of one number, out of additions, multiplications and divisions only, so that their
//! bits depend on no library and no instruction set. Computed in f64 and rounded once.

/// `e` to the power of `x`. Without a branch and without a fused operation: a loop over it has the
/// same bits in registers of any width.
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    // Far enough out for the result to overflow or to vanish by itself. NaN stays.
    let x = if x > 710.0 { 710.0 } else { x };
    let x = if x < -746.0 { -746.0 } else { x };
    // x = k · ln 2 + r with |r| <= ln 2 / 2; ln 2 in two parts, so that r is exact enough.
    const LN2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
    const LN2_LOW: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);
    let k = (x * std::f64::consts::LOG2_E + ROUND) - ROUND;
    let r = (x - k * LN2_HIGH) - k * LN2_LOW;
    // Taylor: |r|^14 / 14! is below 1e-17.
    let mut sum = 1.0 / 6_227_020_800.0;
    for factorial in [
        479_001_600.0,
        39_916_800.0,
        3_628_800.0,
        362_880.0,
        40_320.0,
        5040.0,
        720.0,
        120.0,
        24.0,
        6.0,
        2.0,
        1.0,
        1.0,
    ] {
        sum = sum * r + 1.0 / factorial;
    }
    // In two steps, because one alone would leave the range of normal numbers.
    let first = (k * 0.5 + ROUND) - ROUND;
    sum * power_of_two(first) * power_of_two(k - first)
}

/// Adding it rounds to a whole number, which then stands in the last bits.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// For a whole number between −1022 and 1023.
#[inline(always)]
fn power_of_two(k: f64) -> f64 {
    f64::from_bits((k + (ROUND + 1023.0)).to_bits() << 52)
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + exp(-x))
}

/// The error function, by its series of positive terms.
pub fn erf(x: f64) -> f64 {
    let a = x.abs();
    if a > 6.0 {
        // 1 - erf(6) is 2e-17.
        return if x < 0.0 { -1.0 } else { 1.0 };
    }
    let (mut term, mut sum, mut n) = (a, a, 1.0);
    while term > sum * 1e-17 {
        term *= 2.0 * a * a / (2.0 * n + 1.0);
        sum += term;
        n += 1.0;
    }
    let value = 2.0 / std::f64::consts::PI.sqrt() * exp(-a * a) * sum;
    if x < 0.0 { -value } else { value }
}
