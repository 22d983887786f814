//! BF16: the upper half of an f32, little-endian.

use super::encode::{Rule, Tally, Unencodable};
use half::bf16;

/// Widens by sixteen zero bits; NaN payloads survive.
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    debug_assert_eq!(bytes.len(), 2 * out.len());
    let (stored, _) = bytes.as_chunks::<2>();
    for (stored, out) in stored.iter().zip(out) {
        *out = f32::from_bits(u32::from(u16::from_le_bytes(*stored)) << 16);
    }
}

/// Narrows to nearest even. Above 0x7F7F7FFF the result is infinite and counted; NaN stays NaN.
pub fn encode(values: &[f32], bytes: &mut [u8], _rule: Rule) -> Result<Tally, Unencodable> {
    debug_assert_eq!(bytes.len(), 2 * values.len());
    let mut tally = Tally::default();
    for (value, stored) in values.iter().zip(bytes.as_chunks_mut::<2>().0) {
        let narrow = bf16::from_f32(*value);
        tally.overflowed += usize::from(value.is_finite() && !narrow.is_finite());
        let imprecise = value.is_finite() && narrow.is_finite() && !narrow.is_normal();
        tally.subnormal += usize::from(imprecise && *value != 0.0);
        *stored = narrow.to_le_bytes();
    }
    Ok(tally)
}
