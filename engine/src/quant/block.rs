//! What every block format shares: the walk over blocks and the 16-bit floats inside them.
//! Knows no format.

use bytemuck::Pod;
use half::f16;

/// A little-endian 16-bit float as it lies in a block, aligned to one byte.
pub(super) type Half = [u8; 2];

/// The value of a stored 16-bit float.
#[inline]
pub(super) fn half(stored: Half) -> f32 {
    f16::from_le_bytes(stored).to_f32()
}

/// Every block beside the `N` elements it decodes to. `B` has alignment 1 and no padding, so a
/// block may start at any byte of a mapped file. The caller passes whole blocks and room for
/// exactly their elements.
#[inline]
pub(super) fn decoding<'a, B: Pod, const N: usize>(
    bytes: &'a [u8],
    out: &'a mut [f32],
) -> impl Iterator<Item = (&'a B, &'a mut [f32; N])> {
    let (blocks, out) = (bytes.chunks_exact(size_of::<B>()), out.as_chunks_mut::<N>());
    debug_assert!(blocks.remainder().is_empty() && out.1.is_empty());
    debug_assert_eq!(blocks.len(), out.0.len());
    blocks.map(bytemuck::from_bytes).zip(out.0)
}

/// Every `N` elements beside the block they go to; the mirror of [`decoding`].
#[inline]
pub(super) fn encoding<'a, B: Pod, const N: usize>(
    values: &'a [f32],
    bytes: &'a mut [u8],
) -> impl Iterator<Item = (&'a [f32; N], &'a mut B)> {
    let (values, blocks) = (values.as_chunks::<N>(), bytes.chunks_exact_mut(size_of::<B>()));
    debug_assert!(values.1.is_empty());
    debug_assert_eq!(blocks.len(), values.0.len());
    values.0.iter().zip(blocks.map(bytemuck::from_bytes_mut))
}
