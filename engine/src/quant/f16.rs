//! F16: little-endian IEEE half precision. Every value is exact in f32.

use super::block::half;
use super::encode::{Rule, Tally, Unencodable};
use half::f16;

/// Widens; subnormals and signed zeros are exact, a NaN stays a NaN.
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    debug_assert_eq!(bytes.len(), 2 * out.len());
    let (stored, _) = bytes.as_chunks::<2>();
    for (stored, out) in stored.iter().zip(out) {
        *out = half(*stored);
    }
}

/// Narrows to nearest even. From 65520 up the result is infinite and counted; NaN stays NaN.
pub fn encode(values: &[f32], bytes: &mut [u8], _rule: Rule) -> Result<Tally, Unencodable> {
    debug_assert_eq!(bytes.len(), 2 * values.len());
    let mut tally = Tally::default();
    for (value, stored) in values.iter().zip(bytes.as_chunks_mut::<2>().0) {
        let narrow = f16::from_f32(*value);
        tally.overflowed += usize::from(value.is_finite() && !narrow.is_finite());
        let imprecise = value.is_finite() && narrow.is_finite() && !narrow.is_normal();
        tally.subnormal += usize::from(imprecise && *value != 0.0);
        *stored = narrow.to_le_bytes();
    }
    Ok(tally)
}
