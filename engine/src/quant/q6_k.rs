//! Q6_K: 256 elements in 16 sub-blocks with signed 8-bit scales, 6-bit codes with zero at 32.

use super::block::{Half, decoding, half};
use bytemuck::AnyBitPattern;

/// Elements of a block.
pub const LEN: usize = 256;

/// A block as it lies in a file.
#[repr(C)]
#[derive(Clone, Copy, AnyBitPattern)]
pub struct Block {
    /// Low four bits: byte 64·h + l (l < 64) holds elements 128·h + l and 128·h + 64 + l.
    pub ql: [u8; LEN / 2],
    /// High two bits: byte 32·h + l holds elements 128·h + l + {0, 32, 64, 96}, low bits first.
    pub qh: [u8; LEN / 4],
    /// One scale a sub-block.
    pub scales: [i8; LEN / 16],
    /// Scale of the scales.
    pub d: Half,
}

const _: () = assert!(size_of::<Block>() == 210);

/// y = (d·scale)·(code − 32)
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in decoding::<Block, LEN>(bytes, out) {
        let d = half(block.d);
        for (sub, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let scale = d * f32::from(block.scales[sub]);
            let (half, within) = (sub / 8, 16 * (sub % 8));
            let low = block.ql[64 * half + within % 64..].iter();
            let high = block.qh[32 * half + within % 32..].iter();
            for ((out, low), high) in out.iter_mut().zip(low).zip(high) {
                let code = low >> (within / 64 * 4) & 15 | (high >> (within / 32 * 2) & 3) << 4;
                *out = scale * f32::from(code as i8 - 32);
            }
        }
    }
}
