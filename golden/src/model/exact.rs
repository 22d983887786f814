//! Floats as recordings write them: hexadecimal, every bit, the way vectors are written.

/// `0x1.8p-3`; `#7fc00000` for a NaN.
pub(super) fn float(value: f32) -> String {
    let bits = value.to_bits();
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let (exponent, fraction) = ((bits >> 23 & 255) as i32, bits & 0x7f_ffff);
    match (exponent, fraction) {
        (255, 0) => format!("{sign}inf"),
        (255, _) => format!("#{bits:08x}"),
        (0, 0) => format!("{sign}0x0p0"),
        // A subnormal's leading one moves up to the point; its exponent pays for it.
        (0, _) => {
            let shift = fraction.leading_zeros() as i32 - 8;
            digits(sign, fraction << shift & 0x7f_ffff, -126 - shift)
        }
        _ => digits(sign, fraction, exponent - 127),
    }
}

fn digits(sign: &str, fraction: u32, exponent: i32) -> String {
    let digits = format!("{:06x}", fraction << 1);
    match digits.trim_end_matches('0') {
        "" => format!("{sign}0x1p{exponent}"),
        digits => format!("{sign}0x1.{digits}p{exponent}"),
    }
}
