//! F16: little-endian IEEE half precision. Every value is exact in f32.

use super::block::half;

/// Widens; subnormals and signed zeros are exact, a NaN stays a NaN.
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    debug_assert_eq!(bytes.len(), 2 * out.len());
    let (stored, _) = bytes.as_chunks::<2>();
    for (stored, out) in stored.iter().zip(out) {
        *out = half(*stored);
    }
}
