//! BF16: the upper half of an f32, little-endian.

/// Widens by sixteen zero bits; NaN payloads survive.
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    debug_assert_eq!(bytes.len(), 2 * out.len());
    let (stored, _) = bytes.as_chunks::<2>();
    for (stored, out) in stored.iter().zip(out) {
        *out = f32::from_bits(u32::from(u16::from_le_bytes(*stored)) << 16);
    }
}
