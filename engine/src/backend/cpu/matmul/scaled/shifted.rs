//! Activations for codes that stay where they are in their words: those of every second and third
//! byte of four, or all, are as many times smaller as the byte counts more.

use super::Codes;
use crate::backend::cpu::matmul::fast::strip::BLOCK;
use crate::backend::cpu::matmul::output::Output;
use crate::backend::cpu::matmul::spread;
use crate::backend::cpu::pool::Pool;

/// What each of four neighbouring codes is multiplied with before its activation is: all but the
/// top byte of a word stay in their places, and signed ones go to the top, where their sign counts.
pub(super) const fn places(signed: bool) -> [f32; 4] {
    if signed { [16_777_216.0; 4] } else { [1.0, 256.0, 65_536.0, 1.0] }
}

/// A block of activations and what every product with it needs. What is said of halves is said of
/// the whole block, and stands in the first place, if the matrix has one scale for 32 columns.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Block {
    pub(super) values: [f32; BLOCK],
    /// What a group's sum starts with.
    pub(super) starts: [f32; 2],
    /// Sums of a group's activations.
    pub(super) sums: [f32; 2],
}

pub(super) const EMPTY: Block = Block { values: [0.0; BLOCK], starts: [0.0; 2], sums: [0.0; 2] };

/// Rows of blocks.
pub(super) struct Shifted {
    n_blocks: usize,
    blocks: Vec<Block>,
}

impl Shifted {
    /// From `[n_rows, cols]`.
    pub(super) fn new(pool: &Pool, codes: &Codes, x: &[f32], n_rows: usize, cols: usize) -> Self {
        let places = places(codes.signed).map(|place| 1.0 / place);
        let n_blocks = cols / BLOCK;
        let mut blocks = vec![EMPTY; n_rows * n_blocks];
        let out = Output::new(&mut blocks);
        spread(pool, x.len(), n_rows, &|row| {
            // SAFETY: each row has a place of its own.
            let blocks = unsafe { out.part(row * n_blocks, n_blocks) };
            let x = x[row * cols..][..cols].as_chunks::<BLOCK>().0;
            blocks.iter_mut().zip(x).for_each(|(block, x)| block.set(codes, &places, x));
        });
        Shifted { n_blocks, blocks }
    }

    /// One row.
    pub(super) fn row(&self, row: usize) -> &[Block] {
        &self.blocks[row * self.n_blocks..][..self.n_blocks]
    }
}

impl Block {
    fn set(&mut self, codes: &Codes, places: &[f32; 4], x: &[f32; BLOCK]) {
        for (four, x) in self.values.as_chunks_mut::<4>().0.iter_mut().zip(x.as_chunks::<4>().0) {
            for j in 0..4 {
                four[j] = x[j] * places[j];
            }
        }
        for (group, x) in x.chunks_exact(BLOCK / codes.halves).enumerate() {
            self.sums[group] = sum(x);
            self.starts[group] = -(codes.zero as f32) * self.sums[group];
        }
    }
}

/// Eight sums side by side, then halves onto each other.
fn sum(x: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 8];
    for x in x.as_chunks::<8>().0 {
        for lane in 0..8 {
            lanes[lane] += x[lane];
        }
    }
    let four: [f32; 4] = std::array::from_fn(|i| lanes[i] + lanes[i + 4]);
    (four[0] + four[2]) + (four[1] + four[3])
}
