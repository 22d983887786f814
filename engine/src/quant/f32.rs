//! F32: little-endian IEEE single precision, copied.

/// Bytes to numbers; NaN payloads survive.
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    debug_assert_eq!(bytes.len(), 4 * out.len());
    let (stored, _) = bytes.as_chunks::<4>();
    for (stored, out) in stored.iter().zip(out) {
        *out = f32::from_le_bytes(*stored);
    }
}
