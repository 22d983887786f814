//! Codes as numbers, and activations to match.
//!
//! Codes of a format with minima are written into the top of a float's fraction, below an exponent,
//! and need no conversion: such a float is the code and a constant more. Two neighbouring codes
//! share a word, each in a half of its own: moved up by half, the word is the number of the first;
//! as it is, that of the second, and the first adds a little of itself to it, which the first's
//! activation makes up for. The constants are made up for where a group's sum starts. Sums are as
//! much larger on their way as the constant is larger than codes, and are rounded by as much more:
//! nmse 4e-12 where codes have their zero in the middle and cancel out. So those are converted.
//!
//! They stay where they stand in their words, a byte each, and count so much more; their zero is
//! made up for as above. Codes with a sign go to the top of a word, where it counts. Those of E2M1
//! are looked up, less their zero. Numbers that are stored as such are what they are.

use super::{Codes, Kind};
use crate::backend::cpu::matmul::fast::strip::BLOCK;
use crate::backend::cpu::matmul::output::Output;
use crate::backend::cpu::matmul::spread;
use crate::backend::cpu::pool::Pool;

/// The byte above a code: an exponent that makes 8 of nothing, and of a code's top bit 4 more. So
/// the constant is as large as a code of one more bit, whatever the number of bits.
pub(super) const ABOVE: u8 = 0x41;
/// What a code in the lower half of a word adds to the number in the upper one, by what it adds to
/// its own.
const ASIDE: f32 = 1.0 / 65_536.0;
/// The same of the constant.
const ABOVE_ASIDE: f32 = (ABOVE as u32 as f32) * 256.0 / 1_048_576.0;

/// What a code at the top of a word is multiplied with.
const TOP: f32 = 16_777_216.0;

/// Sums that a group is added up in: one for the first two of every four columns and one for the
/// last two, each in order.
pub(super) const CHAINS: usize = 2;

/// Where the activation of each of four columns stands: those of the chains' first columns lie
/// together, and those of their second ones.
pub(super) const ORDER: [usize; 4] = [0, 2, 1, 3];

/// What a code counts in each byte of a word, if it is converted where it stands; the last one goes
/// down, where it has no sign.
const PLACES: [f32; 4] = [1.0, 256.0, 65_536.0, 1.0];

impl Codes {
    /// What numbers are multiplied with to be as far apart as codes.
    fn units(&self) -> [f32; 4] {
        match self.kind {
            Kind::Below(bits) => [2.0f32.powi(bits - 3); 4],
            Kind::InPlace => PLACES.map(|place| 1.0 / place),
            Kind::Signed => [1.0 / TOP; 4],
            Kind::Centred | Kind::Plain => [1.0; 4],
        }
    }

    /// The number of code zero, and what a second number is more than the first of its code.
    fn constants(&self) -> (f32, f32) {
        let [unit, ..] = self.units();
        match self.kind {
            Kind::Below(_) => (8.0 * unit + self.zero as f32, unit * (ABOVE_ASIDE - 8.0 * ASIDE)),
            Kind::InPlace => (self.zero as f32, 0.0),
            Kind::Signed | Kind::Centred | Kind::Plain => (0.0, 0.0),
        }
    }

    /// The numbers of four neighbouring codes, as every kernel has to make them.
    pub(super) fn numbers(&self, codes: [u8; 4]) -> [f32; 4] {
        match self.kind {
            Kind::Below(bits) => {
                let half = |code: u8| u32::from(ABOVE) << 8 | u32::from(code) << (7 - bits);
                let two = |first, second| {
                    let word = half(second) << 16 | half(first);
                    [f32::from_bits(word << 16), f32::from_bits(word)]
                };
                let ([a, b], [c, d]) = (two(codes[0], codes[1]), two(codes[2], codes[3]));
                [a, b, c, d]
            }
            Kind::InPlace => std::array::from_fn(|j| f32::from(codes[j]) * PLACES[j]),
            Kind::Signed => codes.map(|code| f32::from(code as i8) * TOP),
            Kind::Centred | Kind::Plain => codes.map(|code| f32::from(code) - self.zero as f32),
        }
    }
}

/// A block of activations and what every product with it needs. What is said of halves is said of
/// the whole block, and stands in the first place, if the matrix has one scale for 32 columns.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Block {
    /// Four by four, in `ORDER`.
    pub(super) values: [f32; BLOCK],
    /// What a group's chains start with: the first with all of it, which is one number less to read
    /// where there are many rows.
    pub(super) starts: [[f32; CHAINS]; 2],
    /// Sums of a group's activations.
    pub(super) sums: [f32; 2],
}

pub(super) const EMPTY: Block =
    Block { values: [0.0; BLOCK], starts: [[0.0; CHAINS]; 2], sums: [0.0; 2] };

/// Rows of blocks.
pub(super) struct Placed {
    n_blocks: usize,
    blocks: Vec<Block>,
}

impl Placed {
    /// From `[n_rows, cols]`.
    pub(super) fn new(pool: &Pool, codes: &Codes, x: &[f32], n_rows: usize, cols: usize) -> Self {
        let n_blocks = cols.div_ceil(BLOCK);
        let mut blocks = vec![EMPTY; n_rows * n_blocks];
        let out = Output::new(&mut blocks);
        spread(pool, x.len(), n_rows, &|row| {
            // SAFETY: each row has a place of its own.
            let blocks = unsafe { out.part(row * n_blocks, n_blocks) };
            let (x, rest) = x[row * cols..][..cols].as_chunks::<BLOCK>();
            blocks.iter_mut().zip(x).for_each(|(block, x)| block.set(codes, x));
            if !rest.is_empty() {
                let mut last = [0.0; BLOCK];
                last[..rest.len()].copy_from_slice(rest);
                blocks[x.len()].set(codes, &last);
            }
        });
        Placed { n_blocks, blocks }
    }

    /// One row.
    pub(super) fn row(&self, row: usize) -> &[Block] {
        &self.blocks[row * self.n_blocks..][..self.n_blocks]
    }
}

impl Block {
    fn set(&mut self, codes: &Codes, x: &[f32; BLOCK]) {
        let [a, b, c, d] = codes.units();
        let aside = if let Kind::Below(_) = codes.kind { a * ASIDE } else { 0.0 };
        let units = [a, c, b, d];
        for (four, x) in self.values.as_chunks_mut::<4>().0.iter_mut().zip(x.as_chunks::<4>().0) {
            let (all, beside) = ([x[0], x[2], x[1], x[3]], [x[1], x[3], 0.0, 0.0]);
            *four = std::array::from_fn(|i| units[i] * all[i] - aside * beside[i]);
        }
        let (zero, more) = codes.constants();
        for (group, x) in x.chunks_exact(BLOCK / codes.halves).enumerate() {
            let columns = columns(x);
            let pairs = [columns[0] + columns[1], columns[2] + columns[3]];
            self.sums[group] = pairs[0] + pairs[1];
            self.starts[group][0] = -(zero * self.sums[group] + more * (columns[1] + columns[3]));
        }
    }
}

/// Sums of every fourth column: eight side by side, then halves onto each other.
fn columns(x: &[f32]) -> [f32; 4] {
    let mut lanes = [0.0f32; 8];
    for x in x.as_chunks::<8>().0 {
        for lane in 0..8 {
            lanes[lane] += x[lane];
        }
    }
    std::array::from_fn(|i| lanes[i] + lanes[i + 4])
}
