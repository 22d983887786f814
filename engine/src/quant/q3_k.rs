//! Q3_K: 256 elements in 16 sub-blocks with 6-bit scales; the third bit of a code lies apart.

use super::block::{Half, decoding, half};
use bytemuck::{Pod, Zeroable};

/// Elements of a block.
pub const LEN: usize = 256;

/// A block as it lies in a file.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct Block {
    /// Third bits: bit b of byte l belongs to element 32·b + l. A clear bit subtracts 4.
    pub hmask: [u8; LEN / 8],
    /// Byte 32·h + l holds elements 128·h + l + {0, 32, 64, 96}, two bits each, low bits first.
    pub qs: [u8; LEN / 4],
    /// Sixteen 6-bit scales with zero at 32; see [`scale`].
    pub scales: [u8; 12],
    /// Scale of the scales.
    pub d: Half,
}

const _: () = assert!(size_of::<Block>() == 110);

/// The scale of sub-block `sub`, −32…31. Bytes 0–7 hold the low four bits of scales 0–7 and,
/// in their high halves, of scales 8–15; bytes 8–11 hold the upper two bits, pair p of byte
/// 8 + i belonging to scale 4·p + i.
#[inline]
pub fn scale(packed: &[u8; 12], sub: usize) -> i8 {
    let low = packed[sub % 8] >> (sub / 8 * 4) & 15;
    let high = packed[8 + sub % 4] >> (sub / 4 * 2) & 3;
    (low | high << 4) as i8 - 32
}

/// y = (d·scale)·(code − 4), where the third bit of the code is kept inverted
#[inline(always)] // so that `simd` can compile it once more, for wider registers
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in decoding::<Block, LEN>(bytes, out) {
        let d = half(block.d);
        for (sub, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let scale = d * f32::from(scale(&block.scales, sub));
            let (start, shift) = (32 * (sub / 8) + 16 * (sub % 2), sub % 8 / 2 * 2);
            let thirds = &block.hmask[16 * (sub % 2)..][..16];
            for ((out, byte), third) in out.iter_mut().zip(&block.qs[start..][..16]).zip(thirds) {
                let low = (byte >> shift & 3) as i8;
                let offset = if third >> (sub / 2) & 1 == 1 { 0 } else { 4 };
                *out = scale * f32::from(low - offset);
            }
        }
    }
}
