//! Q2_K: 256 elements in 16 sub-blocks, each with a 4-bit scale and a 4-bit minimum.

use super::block::{Half, decoding, half};
use bytemuck::{Pod, Zeroable};

/// Elements of a block.
pub const LEN: usize = 256;

/// A block as it lies in a file.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct Block {
    /// Sub-block s: scale in the low half of byte s, minimum in the high half.
    pub scales: [u8; LEN / 16],
    /// Byte 32·h + l holds elements 128·h + l + {0, 32, 64, 96}, two bits each, low bits first.
    pub qs: [u8; LEN / 4],
    /// Scale of the scales.
    pub d: Half,
    /// Scale of the minima.
    pub dmin: Half,
}

const _: () = assert!(size_of::<Block>() == 84);

/// y = (d·scale)·code − dmin·minimum, rounded after each operation
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in decoding::<Block, LEN>(bytes, out) {
        let (d, dmin) = (half(block.d), half(block.dmin));
        for (sub, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let scale = d * f32::from(block.scales[sub] & 15);
            let min = dmin * f32::from(block.scales[sub] >> 4);
            // A half of 128 elements shares 32 bytes; within it, two sub-blocks share a bit pair.
            let (start, shift) = (32 * (sub / 8) + 16 * (sub % 2), sub % 8 / 2 * 2);
            for (out, byte) in out.iter_mut().zip(&block.qs[start..][..16]) {
                *out = scale * f32::from(byte >> shift & 3) - min;
            }
        }
    }
}
