//! Q8_0: 32 elements, one f16 scale, signed 8-bit codes (−128 is legal to read, never written).

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
    /// One code an element.
    pub qs: [i8; LEN],
}

const _: () = assert!(size_of::<Block>() == 34);

/// y = code·d
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in decoding::<Block, LEN>(bytes, out) {
        let d = half(block.d);
        for (out, code) in out.iter_mut().zip(block.qs) {
            *out = f32::from(code) * d;
        }
    }
}
