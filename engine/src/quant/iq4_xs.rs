//! IQ4_XS: 256 elements in 8 sub-blocks with 6-bit scales, indices into IQ4_NL's table.

use super::block::{Half, decoding, half};
use super::iq4_nl::values;
use bytemuck::{Pod, Zeroable};

/// Elements of a block.
pub const LEN: usize = 256;

/// A block as it lies in a file.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct Block {
    /// Scale of the scales.
    pub d: Half,
    /// Upper two bits of the scales, little-endian: pair s belongs to sub-block s.
    pub scales_h: [u8; 2],
    /// Lower four bits of the scales: sub-block 2·i in the low half of byte i.
    pub scales_l: [u8; LEN / 64],
    /// Byte 16·s + j holds elements 32·s + j (low half) and 32·s + 16 + j (high half).
    pub qs: [u8; LEN / 2],
}

const _: () = assert!(size_of::<Block>() == 136);

/// y = (d·(scale − 32))·table[index]
#[inline(always)] // so that `simd` can compile it once more, for wider registers
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in decoding::<Block, LEN>(bytes, out) {
        let (d, scales_h) = (half(block.d), u16::from_le_bytes(block.scales_h));
        for (sub, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let low = block.scales_l[sub / 2] >> (sub % 2 * 4) & 15;
            let high = (scales_h >> (2 * sub) & 3) as u8;
            let scale = d * f32::from((low | high << 4) as i8 - 32);
            for (j, byte) in block.qs[16 * sub..][..16].iter().enumerate() {
                let (low, high) = values(*byte);
                out[j] = scale * low;
                out[j + 16] = scale * high;
            }
        }
    }
}
