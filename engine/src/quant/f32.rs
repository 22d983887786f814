//! F32: little-endian IEEE single precision, copied.

use super::encode::{Rule, Tally, Unencodable};

/// Bytes to numbers; NaN payloads survive.
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    debug_assert_eq!(bytes.len(), 4 * out.len());
    let (stored, _) = bytes.as_chunks::<4>();
    for (stored, out) in stored.iter().zip(out) {
        *out = f32::from_le_bytes(*stored);
    }
}

/// Numbers to bytes, whatever they are.
pub fn encode(values: &[f32], bytes: &mut [u8], _rule: Rule) -> Result<Tally, Unencodable> {
    debug_assert_eq!(bytes.len(), 4 * values.len());
    for (value, stored) in values.iter().zip(bytes.as_chunks_mut::<4>().0) {
        *stored = value.to_le_bytes();
    }
    Ok(Tally::default())
}
