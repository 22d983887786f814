//! Numbers as vectors write them: `32`, `-1`, `0xff`, `2^63-1`, `$i*32`. Knows widths and type
//! names, not files.

/// GGUF's value types in order of id.
const VALUE_TYPES: [&str; 13] =
    ["u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "str", "array", "u64", "i64", "f64"];

/// GGUF's id of the value type `kind`; `#13` stands for a bare id.
pub fn type_id(kind: &str) -> Result<i128, String> {
    if let Some(id) = kind.strip_prefix('#') {
        return integer(id);
    }
    let position = VALUE_TYPES.iter().position(|known| *known == kind);
    position.map(|id| id as i128).ok_or_else(|| format!("no value type '{kind}'"))
}

/// The value of a sum of products of powers; wide enough for every field there is.
pub fn integer(text: &str) -> Result<i128, String> {
    let bad = || format!("'{text}' is not a number");
    let mut sum = 0i128;
    let mut rest = text;
    loop {
        let (negative, body) = match rest.as_bytes().first() {
            Some(b'-') => (true, &rest[1..]),
            Some(b'+') => (false, &rest[1..]),
            _ => (false, rest),
        };
        let end = body.find(['+', '-']).unwrap_or(body.len());
        let term = product(&body[..end]).ok_or_else(bad)?;
        sum += if negative { -term } else { term };
        rest = &body[end..];
        if rest.is_empty() {
            return Ok(sum);
        }
    }
}

fn product(text: &str) -> Option<i128> {
    let factors = text.split('*').map(power);
    factors.reduce(|a, b| a?.checked_mul(b?)).flatten()
}

fn power(text: &str) -> Option<i128> {
    match text.split_once('^') {
        Some((base, exponent)) => literal(base)?.checked_pow(exponent.parse().ok()?),
        None => literal(text),
    }
}

fn literal(text: &str) -> Option<i128> {
    match text.strip_prefix("0x") {
        Some(hex) => i128::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// `value` in `width` bytes; a negative one wraps, one that fits neither way is an error.
pub fn little_endian(value: i128, width: usize) -> Result<Vec<u8>, String> {
    let span = 1i128 << (8 * width);
    match (-(span / 2)..span).contains(&value) {
        true => Ok(value.to_le_bytes()[..width].to_vec()),
        false => Err(format!("{value} does not fit {width} bytes")),
    }
}

/// A number of the named type, as it lies in a file.
pub fn encode(kind: &str, text: &str) -> Result<Vec<u8>, String> {
    let float = |text: &str| text.parse::<f64>().map_err(|e| format!("'{text}': {e}"));
    match kind {
        "u8" | "i8" => little_endian(integer(text)?, 1),
        "u16" | "i16" => little_endian(integer(text)?, 2),
        "u32" | "i32" => little_endian(integer(text)?, 4),
        "u64" | "i64" => little_endian(integer(text)?, 8),
        "f32" => Ok((float(text)? as f32).to_le_bytes().to_vec()),
        "f64" => Ok(float(text)?.to_le_bytes().to_vec()),
        _ => Err(format!("no piece and no number type '{kind}'")),
    }
}
