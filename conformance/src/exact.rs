//! Numbers and bytes as vectors write them: exact, short, and easy to check by eye.
//!
//! A number is a hex float (`0x1.8p-3`), an integer (`-7`), `inf`, `-inf`, `nan`, or f32 bits
//! (`#7f800001`). A byte is two hex digits. Both repeat: `0x1p0*31`, `ff*12`. Decimal fractions
//! are refused, because few of them are what they look like.

/// The values that the words stand for.
pub fn floats<S: AsRef<str>>(words: &[S]) -> Result<Vec<f32>, String> {
    let words = words.iter().flat_map(|word| word.as_ref().split_whitespace());
    repeated(words, float)
}

/// The bytes that a text stands for.
pub fn bytes(text: &str) -> Result<Vec<u8>, String> {
    repeated(text.split_whitespace(), |word| match (word.len(), u8::from_str_radix(word, 16)) {
        (2, Ok(byte)) => Ok(byte),
        _ => Err(format!("'{word}' is not a byte: two hex digits")),
    })
}

fn repeated<'a, T: Clone>(
    words: impl Iterator<Item = &'a str>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let mut all = Vec::new();
    for word in words {
        let (one, times) = word.split_once('*').unwrap_or((word, "1"));
        let times = times.parse().map_err(|_| format!("'{word}' repeats '{times}' times"))?;
        all.extend(std::iter::repeat_n(read(one)?, times));
    }
    Ok(all)
}

/// The f32 that a word stands for; refused if an f32 cannot hold exactly that.
pub fn float(word: &str) -> Result<f32, String> {
    let wrong = || format!("'{word}' is not an exact number (0x1.8p-3, -7, inf, nan, #7fc00000)");
    if let Some(bits) = word.strip_prefix('#') {
        return u32::from_str_radix(bits, 16).map(f32::from_bits).map_err(|_| wrong());
    }
    let (sign, magnitude) = match word.strip_prefix('-') {
        Some(magnitude) => (-1.0, magnitude),
        None => (1.0, word),
    };
    let value = match magnitude {
        "inf" => return Ok((sign * f64::INFINITY) as f32),
        "nan" => return Ok(f32::NAN),
        _ => match magnitude.strip_prefix("0x") {
            Some(hex) => hex_float(hex).ok_or_else(wrong)?,
            None => f64::from(magnitude.parse::<u32>().map_err(|_| wrong())?),
        },
    };
    let value = sign * value;
    match value as f32 {
        exact if f64::from(exact) == value => Ok(exact),
        _ => Err(format!("'{word}' has more digits or range than an f32")),
    }
}

/// `1.8p-3` to 0.1875; none where it does not parse or an f64 would round it.
fn hex_float(text: &str) -> Option<f64> {
    let (digits, exponent) = text.split_once('p')?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() || whole.len() + fraction.len() > 13 {
        return None;
    }
    let significand = u64::from_str_radix(&format!("{whole}{fraction}"), 16).ok()?;
    let exponent = exponent.parse::<i32>().ok()? - 4 * i32::try_from(fraction.len()).ok()?;
    let power = 2f64.powi(exponent.clamp(-1000, 1000));
    Some(significand as f64 * power)
}

/// A number the way [`float`] reads it.
pub fn text(value: f32) -> String {
    let bits = value.to_bits();
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let (exponent, fraction) = ((bits >> 23 & 255) as i32 - 127, bits & 0x7F_FFFF);
    match value.classify() {
        std::num::FpCategory::Nan => format!("#{bits:08x}"),
        std::num::FpCategory::Infinite => format!("{sign}inf"),
        std::num::FpCategory::Zero => format!("{sign}0x0p0"),
        // The leading one of a subnormal moves up to the point; its exponent pays for it.
        std::num::FpCategory::Subnormal => {
            let shift = fraction.leading_zeros() as i32 - 8;
            normal(sign, fraction << shift & 0x7F_FFFF, -126 - shift)
        }
        std::num::FpCategory::Normal => normal(sign, fraction, exponent),
    }
}

fn normal(sign: &str, fraction: u32, exponent: i32) -> String {
    let digits = format!("{:06x}", fraction << 1);
    match digits.trim_end_matches('0') {
        "" => format!("{sign}0x1p{exponent}"),
        digits => format!("{sign}0x1.{digits}p{exponent}"),
    }
}
