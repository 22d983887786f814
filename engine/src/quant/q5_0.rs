//! Q5_0: 32 elements, one f16 scale, 5-bit codes with zero at 16; the fifth bits lie apart.

use super::block::{Half, decoding, half};
use bytemuck::AnyBitPattern;

/// Elements of a block.
pub const LEN: usize = 32;

/// A block as it lies in a file.
#[repr(C)]
#[derive(Clone, Copy, AnyBitPattern)]
pub struct Block {
    /// Scale.
    pub d: Half,
    /// Fifth bits, little-endian: bit i belongs to element i.
    pub qh: [u8; 4],
    /// Byte j holds element j in its low half and element j + 16 in its high half.
    pub qs: [u8; LEN / 2],
}

const _: () = assert!(size_of::<Block>() == 22);

/// The 5-bit codes of byte `j`: elements j and j + 16. Q5_1 packs the same way.
#[inline]
pub(super) fn codes(qs: &[u8; LEN / 2], qh: u32, j: usize) -> (u8, u8) {
    let fifth = |element: usize| ((qh >> element & 1) << 4) as u8;
    (qs[j] & 15 | fifth(j), qs[j] >> 4 | fifth(j + LEN / 2))
}

/// y = (code − 16)·d
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in decoding::<Block, LEN>(bytes, out) {
        let (d, qh) = (half(block.d), u32::from_le_bytes(block.qh));
        for j in 0..LEN / 2 {
            let (low, high) = codes(&block.qs, qh, j);
            out[j] = (f32::from(low) - 16.0) * d;
            out[j + LEN / 2] = (f32::from(high) - 16.0) * d;
        }
    }
}
