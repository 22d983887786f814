//! Functions of one number, out of additions, multiplications and divisions only, so that their
//! bits depend on no library and no instruction set. Computed in f64 and rounded once.

/// `e` to the power of `x`.
pub fn exp(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x > 709.0 {
        return f64::INFINITY;
    }
    if x < -745.0 {
        return 0.0;
    }
    // x = k · ln 2 + r with |r| <= ln 2 / 2; ln 2 in two parts, so that r is exact enough.
    const LN2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
    const LN2_LOW: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);
    let k = (x * std::f64::consts::LOG2_E).round_ties_even();
    let r = (x - k * LN2_HIGH) - k * LN2_LOW;
    // Taylor: |r|^14 / 14! is below 1e-17.
    let mut sum = 1.0;
    for n in (1..=13).rev() {
        sum = 1.0 + sum * r / f64::from(n);
    }
    power_of_two(sum, k as i32)
}

fn power_of_two(x: f64, k: i32) -> f64 {
    let scale = |k: i32| f64::from_bits(((k + 1023) as u64) << 52);
    // In two steps where one alone would leave the range of normal numbers.
    if k < -1000 { x * scale(k + 200) * scale(-200) } else { x * scale(k) }
}

/// `1 / (1 + e^-x)`.
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + exp(-x))
}

/// The hyperbolic tangent.
pub fn tanh(x: f64) -> f64 {
    if x.abs() < 1e-3 {
        // The difference below would cancel; x^5 is below 1e-15 here.
        return x - x * x * x / 3.0;
    }
    let e = exp(-2.0 * x.abs());
    let t = (1.0 - e) / (1.0 + e);
    if x < 0.0 { -t } else { t }
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
