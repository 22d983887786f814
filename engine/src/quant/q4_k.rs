//! Q4_K: 256 elements in 8 sub-blocks, each with a 6-bit scale and a 6-bit minimum.

use super::block::{Half, decoding, encoding, half};
use super::encode::{Rule, Tally, Unencodable, require_finite};
use super::lines_fit::{Fitted, Grid, fit_block};
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
    /// Eight 6-bit scales and eight 6-bit minima; see [`scale_and_min`].
    pub scales: [u8; 12],
    /// Byte 32·p + l holds elements 64·p + l (low half) and 64·p + 32 + l (high half).
    pub qs: [u8; LEN / 2],
}

const _: () = assert!(size_of::<Block>() == 144);

/// Scale and minimum of sub-block `sub`, 0…63 each. The first four of each lie in the low six
/// bits of bytes 0–3 and 4–7; the last four have their low four bits in bytes 8–11 and borrow
/// the two bits left over at the top of bytes 0–3 (scales) and 4–7 (minima). Q5_K packs alike.
#[inline]
pub fn scale_and_min(packed: &[u8; 12], sub: usize) -> (u8, u8) {
    if sub < 4 {
        return (packed[sub] & 63, packed[sub + 4] & 63);
    }
    let low = packed[sub + 4];
    (low & 15 | packed[sub - 4] >> 6 << 4, low >> 4 | packed[sub] >> 6 << 4)
}

/// y = (d·scale)·code − dmin·minimum, rounded after each operation
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in decoding::<Block, LEN>(bytes, out) {
        let (d, dmin) = (half(block.d), half(block.dmin));
        for (sub, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let (scale, min) = scale_and_min(&block.scales, sub);
            let (scale, min) = (d * f32::from(scale), dmin * f32::from(min));
            let shift = sub % 2 * 4;
            for (out, byte) in out.iter_mut().zip(&block.qs[sub / 2 * 32..]) {
                *out = scale * f32::from(byte >> shift & 15) - min;
            }
        }
    }
}

/// Packs scales and minima; the mirror of [`scale_and_min`].
pub fn pack(scales: &[u8; 8], mins: &[u8; 8]) -> [u8; 12] {
    std::array::from_fn(|byte| match byte {
        0..4 => scales[byte] | scales[byte + 4] >> 4 << 6,
        4..8 => mins[byte - 4] | mins[byte] >> 4 << 6,
        _ => scales[byte - 4] & 15 | mins[byte - 4] << 4,
    })
}

const GRID: Grid = Grid { top: 15, first: -1.0, trials: 20 };

/// As ggml does, to the bit; see [`fit_block`].
pub fn encode(values: &[f32], bytes: &mut [u8], _rule: Rule) -> Result<Tally, Unencodable> {
    require_finite(values)?;
    let mut tally = Tally::default();
    for (index, (x, block)) in encoding::<Block, LEN>(values, bytes).enumerate() {
        let Fitted { d, dmin, scales, codes } = fit_block(x, GRID, index, &mut tally)?;
        let qs = std::array::from_fn(|i| {
            let (pair, l) = (i / 32, i % 32);
            codes[2 * pair][l] | codes[2 * pair + 1][l] << 4
        });
        *block = Block { d, dmin, scales, qs };
    }
    Ok(tally)
}
