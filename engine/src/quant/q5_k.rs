//! Q5_K: as Q4_K with 5-bit codes; the fifth bits lie apart.

use super::block::{Half, decoding, half};
use super::q4_k::scale_and_min;
use bytemuck::{Pod, Zeroable};

/// Elements of a block.
pub const LEN: usize = 256;

/// A block as it lies in a file.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct Block {
    /// Scale of the scales.
    pub d: Half,
    /// Scale of the minima.
    pub dmin: Half,
    /// Eight 6-bit scales and eight 6-bit minima, packed as in Q4_K.
    pub scales: [u8; 12],
    /// Fifth bits: bit b of byte l belongs to element 32·b + l.
    pub qh: [u8; LEN / 8],
    /// Byte 32·p + l holds elements 64·p + l (low half) and 64·p + 32 + l (high half).
    pub qs: [u8; LEN / 2],
}

const _: () = assert!(size_of::<Block>() == 176);

/// y = (d·scale)·code − dmin·minimum, rounded after each operation
#[inline(always)] // so that `simd` can compile it once more, for wider registers
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in decoding::<Block, LEN>(bytes, out) {
        let (d, dmin) = (half(block.d), half(block.dmin));
        for (sub, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let (scale, min) = scale_and_min(&block.scales, sub);
            let (scale, min) = (d * f32::from(scale), dmin * f32::from(min));
            let shift = sub % 2 * 4;
            let codes = block.qs[sub / 2 * 32..][..32].iter().zip(&block.qh);
            for (out, (byte, fifth)) in out.iter_mut().zip(codes) {
                let code = byte >> shift & 15 | (fifth >> sub & 1) << 4;
                *out = scale * f32::from(code) - min;
            }
        }
    }
}
