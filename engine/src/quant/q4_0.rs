//! Q4_0: 32 elements, one f16 scale, 4-bit codes with zero at 8.

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
    /// Byte j holds element j in its low half and element j + 16 in its high half.
    pub qs: [u8; LEN / 2],
}

const _: () = assert!(size_of::<Block>() == 18);

/// y = (code − 8)·d
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in decoding::<Block, LEN>(bytes, out) {
        let d = half(block.d);
        for (j, byte) in block.qs.iter().enumerate() {
            out[j] = (f32::from(byte & 15) - 8.0) * d;
            out[j + LEN / 2] = (f32::from(byte >> 4) - 8.0) * d;
        }
    }
}
