//! Q5_K: as Q4_K with 5-bit codes; the fifth bits lie apart.

use super::block::{Half, decoding, encoding, half};
use super::encode::{Rule, Tally, Unencodable, require_finite};
use super::lines_fit::{Fitted, Grid, fit_block};
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

const GRID: Grid = Grid { top: 31, first: -0.5, trials: 15 };

/// As ggml does, to the bit; see [`fit_block`].
pub fn encode(values: &[f32], bytes: &mut [u8], _rule: Rule) -> Result<Tally, Unencodable> {
    require_finite(values)?;
    let mut tally = Tally::default();
    for (index, (x, block)) in encoding::<Block, LEN>(values, bytes).enumerate() {
        let Fitted { d, dmin, scales, codes } = fit_block(x, GRID, index, &mut tally)?;
        let qh = std::array::from_fn(|l| (0..8).fold(0, |qh, sub| qh | codes[sub][l] >> 4 << sub));
        let qs = std::array::from_fn(|i| {
            let (pair, l) = (i / 32, i % 32);
            codes[2 * pair][l] & 15 | codes[2 * pair + 1][l] << 4
        });
        *block = Block { d, dmin, scales, qh, qs };
    }
    Ok(tally)
}
