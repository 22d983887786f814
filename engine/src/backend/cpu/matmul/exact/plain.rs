//! Numbers that are stored as such: F32, F16, BF16. Knows how they lie, not in which order they are
//! added up.

use super::NEAR;
use super::kernels::{Fill, Wall};
use super::placed::{Block, CHAINS, ORDER};
use crate::backend::cpu::matmul::Matrices;
use crate::backend::cpu::matmul::fast::strip::{BLOCK, GROUP_ROWS};
use crate::backend::cpu::matmul::lanes::Lanes;
use crate::quant::Decode;
use std::ops::Range;

/// A matrix and what decodes it.
pub(super) struct Plain<'m> {
    pub(super) w: &'m Matrices<'m>,
    pub(super) decode: Decode,
    /// For rows that lie together.
    pub(super) fill: Option<Fill>,
}

/// A column of eight rows each.
pub(super) type Columns = Vec<[f32; GROUP_ROWS]>;

impl Plain<'_> {
    /// Some columns of up to eight rows, filled up with zeros to whole blocks. Rows that the matrix
    /// does not have are something.
    pub(super) fn columns(
        &self,
        matrix: usize,
        rows: Range<usize>,
        cols: Range<usize>,
        out: &mut Columns,
    ) {
        let bytes = self.w.format.block_bytes;
        let cols = cols.start..cols.end.min(self.w.cols);
        out.clear();
        out.resize(cols.len().next_multiple_of(BLOCK), [0.0; GROUP_ROWS]);
        if self.w.eights {
            let eight = self.w.eight(matrix, rows.start);
            let own = &eight[GROUP_ROWS * bytes * cols.start..GROUP_ROWS * bytes * cols.end];
            return (self.decode)(own, out[..cols.len()].as_flattened_mut());
        }
        let mut block = [[0.0; BLOCK]; GROUP_ROWS];
        for (at, out) in out.chunks_mut(BLOCK).enumerate() {
            let from = cols.start + at * BLOCK;
            let n = BLOCK.min(cols.end - from);
            for (row, block) in rows.clone().zip(&mut block) {
                let own = &self.w.row(matrix, row)[bytes * from..bytes * (from + n)];
                (self.decode)(own, &mut block[..n]);
            }
            for (column, out) in out[..n].iter_mut().enumerate() {
                *out = std::array::from_fn(|row| block[row][column]);
            }
        }
    }

    /// Some blocks of up to sixteen rows.
    pub(super) fn build(
        &self,
        matrix: usize,
        rows: Range<usize>,
        blocks: Range<usize>,
        columns: &mut Columns,
        wall: &mut Wall,
    ) {
        wall.values.resize(blocks.len() * BLOCK, Lanes::ZERO);
        for (half, first) in rows.clone().step_by(GROUP_ROWS).enumerate() {
            let own = first..rows.end.min(first + GROUP_ROWS);
            if let Some(fill) = self.fill {
                let bytes = GROUP_ROWS * BLOCK * self.w.format.block_bytes;
                let eight = &self.w.eight(matrix, first)[bytes * blocks.start..bytes * blocks.end];
                fill(eight, half, &mut wall.values);
                continue;
            }
            self.columns(matrix, own, BLOCK * blocks.start..BLOCK * blocks.end, columns);
            for (eight, out) in columns.iter().zip(&mut wall.values) {
                out.0[GROUP_ROWS * half..][..GROUP_ROWS].copy_from_slice(eight);
            }
        }
    }
}

/// The sums of eight matrix rows and an activation row: the twin of all kernels that can be read.
pub(super) fn readable(columns: &Columns, x: &[Block], sums: &mut [f32; GROUP_ROWS]) {
    for (columns, x) in columns.chunks(NEAR * BLOCK).zip(x.chunks(NEAR)) {
        let mut chains = [[0.0f32; GROUP_ROWS]; CHAINS];
        for (at, column) in columns.iter().enumerate() {
            let x = x[at / BLOCK].values[at % BLOCK / 4 * 4 + ORDER[at % 4]];
            for (number, chain) in column.iter().zip(&mut chains[at % 4 / 2]) {
                *chain = number.mul_add(x, *chain);
            }
        }
        for (row, sum) in sums.iter_mut().enumerate() {
            *sum += chains[0][row] + chains[1][row];
        }
    }
}
