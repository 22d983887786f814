//! Activations rounded to eight bits, with a scale for every 32 of them. Nearer than what llama.cpp
//! multiplies with: its scales are rounded to 16 bits, or shared by 256.

use super::codes::Coded;
use super::strip::BLOCK;
use crate::backend::cpu::level::Level;
use crate::backend::cpu::matmul::output::Output;
use crate::backend::cpu::matmul::spread;
use crate::backend::cpu::pool::Pool;

/// Below this a block's largest magnitude counts as zero: its inverse would be infinite.
const TINY: f32 = 1e-30;

/// 32 activations and what every product with them needs. What is said of halves is said of the
/// whole block, and stands in the first place, if the matrix has one scale for 32 columns.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Block {
    /// −127…127
    pub(super) codes: [i8; BLOCK],
    pub(super) scale: f32,
    /// What the zero of the matrix' codes adds too much, negated.
    pub(super) offsets: [i32; 2],
    /// The same for each two of four columns, in 16 bits that may wrap.
    pub(super) pairs: [[i16; 2]; 2],
    /// Sums of the rounded activations, for the minima of the matrix.
    pub(super) sums: [f32; 2],
}

/// The same for matrices with wide codes.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Wide {
    pub(super) codes: [i16; BLOCK],
    pub(super) scale: f32,
}

/// Rows of blocks.
pub(super) struct Rounded {
    n_blocks: usize,
    blocks: Vec<Block>,
    /// Empty if the matrix has narrow codes.
    wide: Vec<Wide>,
}

/// One row.
#[derive(Clone, Copy)]
pub(super) struct Row<'r> {
    pub(super) blocks: &'r [Block],
    pub(super) wide: &'r [Wide],
}

pub(super) const EMPTY: Block =
    Block { codes: [0; BLOCK], scale: 0.0, offsets: [0; 2], pairs: [[0; 2]; 2], sums: [0.0; 2] };

impl Rounded {
    /// Rounds `[n_rows, cols]` for a matrix whose codes are `coded`.
    pub(super) fn new(pool: &Pool, coded: &Coded, x: &[f32], n_rows: usize, cols: usize) -> Self {
        let n_blocks = cols / BLOCK;
        let none = Wide { codes: [0; BLOCK], scale: 0.0 };
        let n_wide = if coded.wide { n_rows * n_blocks } else { 0 };
        let mut blocks = vec![EMPTY; n_rows * n_blocks];
        let mut wide = vec![none; n_wide];
        let round = rounder(pool.level());
        let (out, wide_out) = (Output::new(&mut blocks), Output::new(&mut wide));
        spread(pool, x.len(), n_rows, &|row| {
            for (b, x) in x[row * cols..][..cols].as_chunks::<BLOCK>().0.iter().enumerate() {
                let (at, block) = (row * n_blocks + b, round(x, coded.halves, coded.zero));
                // SAFETY: the place belongs to this row alone.
                unsafe { out.write(at, &[block]) };
                if coded.wide {
                    let wide = Wide { codes: block.codes.map(i16::from), scale: block.scale };
                    // SAFETY: as above.
                    unsafe { wide_out.write(at, &[wide]) };
                }
            }
        });
        Rounded { n_blocks, blocks, wide }
    }

    /// One row from block `first` on.
    pub(super) fn row(&self, row: usize, first: usize) -> Row<'_> {
        let blocks = row * self.n_blocks + first..(row + 1) * self.n_blocks;
        let wide = self.wide.get(blocks.clone()).unwrap_or_default();
        Row { blocks: &self.blocks[blocks], wide }
    }
}

type Round = fn(&[f32; BLOCK], usize, i32) -> Block;

fn rounder(level: Level) -> Round {
    #[cfg(target_arch = "x86_64")]
    if level >= Level::Avx2 {
        // SAFETY: the machine has this level.
        return |x, halves, zero| unsafe { super::rounded_avx2::round(x, halves, zero) };
    }
    let _ = level;
    round
}

/// A block with a number that is none gets a scale that is none, so that whatever is multiplied
/// with it shows.
fn round(x: &[f32; BLOCK], halves: usize, zero: i32) -> Block {
    // Magnitudes of floats are in the order of their bits, with NaN beyond infinity.
    let magnitude = |x: &f32| x.to_bits() & 0x7FFF_FFFF;
    let largest = f32::from_bits(x.iter().map(magnitude).fold(0, u32::max));
    let mut block = match special(largest) {
        Some(block) => return block,
        None => EMPTY,
    };
    let inverse = 127.0 / largest;
    for (code, x) in block.codes.iter_mut().zip(x) {
        // SAFETY: the product is within ±127 but for a rounding, so it fits.
        *code = unsafe { (x * inverse).round_ties_even().to_int_unchecked::<i32>() } as i8;
    }
    block.scale = fitted(x, &block.codes);
    let mut pairs = [[0i32; 2]; 2];
    for (half, codes) in block.codes.as_chunks::<16>().0.iter().enumerate() {
        for four in codes.as_chunks::<4>().0 {
            pairs[half * (halves - 1)][0] += i32::from(four[0]) + i32::from(four[1]);
            pairs[half * (halves - 1)][1] += i32::from(four[2]) + i32::from(four[3]);
        }
    }
    block.finish(pairs, zero);
    block
}

/// The block of a row whose largest magnitude is none to divide by.
pub(super) fn special(largest: f32) -> Option<Block> {
    let none = Block { scale: f32::NAN, sums: [f32::NAN; 2], ..EMPTY };
    if !largest.is_finite() { Some(none) } else { (largest < TINY).then_some(EMPTY) }
}

impl Block {
    /// Puts what follows from the scale and the sums of the first and the last two of four codes.
    #[inline(always)]
    pub(super) fn finish(&mut self, pairs: [[i32; 2]; 2], zero: i32) {
        let sums = pairs.map(|pairs| pairs[0] + pairs[1]);
        self.offsets = sums.map(|sum| -zero * sum);
        // Up to 16 · 127 · 32: it may wrap, and so may the sum that it is the start of, which in
        // the end is within 16 bits.
        self.pairs = pairs.map(|pairs| pairs.map(|pair| (-zero * pair) as i16));
        self.sums = sums.map(|sum| self.scale * sum as f32);
    }
}

/// The scale that is best for these codes, in the sense of least squares: a little smaller errors
/// than with the one that the codes were made with.
#[inline(always)]
fn fitted(x: &[f32; BLOCK], codes: &[i8; BLOCK]) -> f32 {
    let (mut lanes, mut squares) = ([0.0f32; 8], [0i32; 8]);
    for (x, codes) in x.as_chunks::<8>().0.iter().zip(codes.as_chunks::<8>().0) {
        for lane in 0..8 {
            lanes[lane] += x[lane] * f32::from(codes[lane]);
            squares[lane] += i32::from(codes[lane]) * i32::from(codes[lane]);
        }
    }
    let four: [f32; 4] = std::array::from_fn(|i| lanes[i] + lanes[i + 4]);
    let square: i32 = squares.iter().sum();
    ((four[0] + four[2]) + (four[1] + four[3])) / square as f32
}
