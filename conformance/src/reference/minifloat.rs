//! Small floats by arithmetic: sign, exponent and mantissa fields to an exact f64, and the way
//! back to 16 bits by integer rounding. Uses no conversion of the machine or of a library.

/// What the codes with an exponent of all ones mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Top {
    /// Numbers like any others.
    Numbers,
    /// Numbers, except NaN when the mantissa is all ones too.
    OneNan,
    /// Infinity and NaN.
    Ieee,
}

/// The value of `code` with `e` exponent and `m` mantissa bits.
pub fn value(code: u32, e: u32, m: u32, top: Top) -> f64 {
    let mantissa = code % (1 << m);
    let exponent = code / (1 << m) % (1 << e);
    let sign = if code / (1 << (m + e)) % 2 == 1 { -1.0 } else { 1.0 };
    let full = exponent == (1 << e) - 1;
    match top {
        Top::Ieee if full && mantissa == 0 => return sign * f64::INFINITY,
        Top::Ieee if full => return f64::NAN,
        Top::OneNan if full && mantissa == (1 << m) - 1 => return f64::NAN,
        _ => {}
    }
    let fraction = f64::from(mantissa) / f64::from(1u32 << m);
    let bias = (1 << (e - 1)) - 1;
    let (leading, power) = match exponent {
        0 => (0.0, 1 - bias),
        _ => (1.0, exponent as i32 - bias),
    };
    sign * (leading + fraction) * 2f64.powi(power)
}

/// IEEE half precision.
pub fn f16(bits: u16) -> f64 {
    value(bits.into(), 5, 10, Top::Ieee)
}

/// The 16-bit float with `e` exponent bits nearest to f32 bits, ties to even; NaN gives `None`.
pub fn narrowed(bits: u32, e: u32) -> Option<u16> {
    let (sign, magnitude) = ((bits >> 31) as u16, bits & 0x7FFF_FFFF);
    if magnitude > 0x7F80_0000 {
        return None;
    }
    let m = 15 - e;
    let infinity = ((1u16 << e) - 1) << m;
    // The value as an integer times a power of two, then in units of the target's last place.
    let exponent = (magnitude >> 23).max(1) as i32 - 127 - 23;
    let significand = match magnitude >> 23 {
        0 => magnitude,
        _ => magnitude & 0x7F_FFFF | 0x80_0000,
    };
    let bias = (1 << (e - 1)) - 1;
    let length = 32 - significand.leading_zeros() as i32;
    let unit = (exponent + length - 1).max(1 - bias) - m as i32;
    let drop = unit - exponent;
    let rounded = match drop {
        ..=0 => u64::from(significand) << -drop,
        1..=40 => {
            let (kept, rest) =
                (u64::from(significand) >> drop, u64::from(significand) % (1 << drop));
            let half = 1u64 << (drop - 1);
            kept + u64::from(rest > half || rest == half && kept % 2 == 1)
        }
        _ => 0,
    };
    // Codes of equal sign are in the order of their values, so a carry lands on the next code.
    let above_subnormal = (unit + m as i32 - (1 - bias)) as u64;
    let code = rounded + (above_subnormal << m);
    Some(sign << 15 | code.min(infinity.into()) as u16)
}
