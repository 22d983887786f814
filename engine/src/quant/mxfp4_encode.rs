//! MXFP4 encoders, by two rules. Both scale a block by the power of two that puts its largest
//! element into [4, 8); what they disagree on is how to find that power and how to round.

use super::block::encoding;
use super::encode::{Rule, Tally, Unencodable, extreme, require_finite};
use super::mxfp4::{Block, LEN, VALUES};

/// Encodes by `rule`.
///
/// The scale byte never leaves 0…252: a block of tiny values gets byte 0, where ggml casts a
/// negative exponent to 8 bits and may write the NaN byte (`ggml-mxfp4-tiny-scale`); NaN and
/// Inf are refused, where ggml writes zeros (`ggml-mxfp4-non-finite`).
pub(super) fn encode(values: &[f32], bytes: &mut [u8], rule: Rule) -> Result<Tally, Unencodable> {
    require_finite(values)?;
    let mut tally = Tally::default();
    for (x, block) in encoding::<Block, LEN>(values, bytes) {
        let amax = extreme(x).abs();
        let power = match rule {
            Rule::Ocp => exact_power(amax),
            Rule::LlamaCpp => rounded_power(amax),
        };
        let e = (power - 2 + 127).max(0) as u8;
        let codes = match rule {
            Rule::Ocp => x.map(|x| even_code(x, e)),
            Rule::LlamaCpp => x.map(|x| nearest_code(x, e)),
        };
        block.e = e;
        for j in 0..LEN / 2 {
            block.qs[j] = codes[j] | codes[j + LEN / 2] << 4;
        }
        let values = &VALUES[usize::from(e)];
        tally.saturated += x.iter().filter(|x| x.abs() > values[7]).count();
        let subnormal = |code: &&u8| values[usize::from(**code)].is_subnormal();
        tally.subnormal += codes.iter().filter(subnormal).count();
    }
    Ok(tally)
}

/// floor(log2(amax)) from the bits; zero and subnormals count as −127, below the last scale.
fn exact_power(amax: f32) -> i32 {
    (amax.to_bits() >> 23) as i32 - 127
}

/// floor(log2f(amax)): a logarithm in f32 rounds up to k for some values just below 2^k, which
/// doubles their scale. Zero and everything below the last scale gives −127. The f64 logarithm
/// rounded to f32 is the correctly rounded one.
fn rounded_power(amax: f32) -> i32 {
    ((f64::from(amax).log2() as f32).floor() as i32).max(-127)
}

/// Midpoints between neighbouring magnitudes: midpoint i lies between codes i and i + 1.
const MIDPOINTS: [f64; 7] = [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0];

/// Round to nearest, a tie to the even code, beyond 6 to 6; the sign stays, also of zero.
fn even_code(x: f32, e: u8) -> u8 {
    // Exact: an f64 holds any f32 times any power of two between 2^-125 and 2^127.
    let power = f64::from_bits((1023 + 127 - u64::from(e)) << 52);
    let scaled = f64::from(x.abs()) * power;
    let passed = |(i, midpoint): (usize, &f64)| {
        let upper_is_even = i % 2 == 1;
        scaled > *midpoint || scaled == *midpoint && upper_is_even
    };
    let magnitude = MIDPOINTS.iter().enumerate().filter(|entry| passed(*entry)).count();
    magnitude as u8 | u8::from(x.is_sign_negative()) << 3
}

/// The code whose value is nearest in f32, the lowest of equals; so −0 is never written.
fn nearest_code(x: f32, e: u8) -> u8 {
    let values = &VALUES[usize::from(e)];
    let mut best = (0, (values[0] - x).abs());
    for code in 1..16u8 {
        let off = (values[usize::from(code)] - x).abs();
        if off < best.1 {
            best = (code, off);
        }
    }
    best.0
}
