//! Q4_1: 32 elements, f16 scale and offset, 4-bit codes.

use super::block::{Half, decoding, half};
use bytemuck::{Pod, Zeroable};

/// Elements of a block.
pub const LEN: usize = 32;

/// A block as it lies in a file.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct Block {
    /// Scale.
    pub d: Half,
    /// Offset: the value of code 0.
    pub m: Half,
    /// Byte j holds element j in its low half and element j + 16 in its high half.
    pub qs: [u8; LEN / 2],
}

const _: () = assert!(size_of::<Block>() == 20);

/// y = code·d + m, rounded after each operation
#[inline(always)] // so that `simd` can compile it once more, for wider registers
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in decoding::<Block, LEN>(bytes, out) {
        let (d, m) = (half(block.d), half(block.m));
        for (j, byte) in block.qs.iter().enumerate() {
            out[j] = f32::from(byte & 15) * d + m;
            out[j + LEN / 2] = f32::from(byte >> 4) * d + m;
        }
    }
}
