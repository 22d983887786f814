//! A matrix as codes: eight rows at a time, a strip or a whole panel of them, from either order in
//! which a matrix may lie. Knows formats and layouts, not what is computed with the codes.

use super::codes::{self, Coded};
use super::kernels::{self, Arrange, Fill};
use super::panel::Panel;
use super::strip::{BLOCK, GROUP_ROWS, STRIP, Strip};
use crate::backend::cpu::level::Level;
use crate::backend::cpu::matmul::{Matrices, arranged};
use std::ops::Range;

/// Bytes of a strip's row in any format that can be arranged: Q8_0 has most.
const MOST_BYTES: usize = STRIP / 32 * 34;

/// A matrix and how its codes are to be had.
pub(in super::super) struct Source<'m> {
    pub(in super::super) w: &'m Matrices<'m>,
    pub(in super::super) coded: Coded,
    /// Where registers are read from: from strips, and from rows that lie together.
    pub(super) arrange: Option<Arrange>,
    pub(super) fill: Option<Fill>,
}

impl<'m> Source<'m> {
    /// With narrow registers for all codes, where there are any, and registers on this machine;
    /// and whether codes are signed bytes all the same.
    pub(in super::super) fn narrow(w: &'m Matrices, level: Level) -> Option<(Source<'m>, bool)> {
        let whole = codes::of(w.format, level)?;
        let coded = Coded { wide: false, ..whole };
        let arrange = kernels::of(&coded, level).tiles.map(|(_, arrange)| arrange);
        let fill = kernels::arranged(w.format.name, level).map(|(_, fills)| fills.narrow);
        Some((Source { w, coded, arrange, fill }, whole.wide))
    }

    /// Up to eight whole matrix rows.
    pub(in super::super) fn fill(
        &self,
        matrix: usize,
        rows: Range<usize>,
        strip: &mut Strip,
        panel: &mut Panel,
    ) {
        panel.resize(&self.coded, self.w.cols / BLOCK);
        match (self.fill, self.arrange) {
            (Some(fill), _) if self.w.eights => fill(self.w.eight(matrix, rows.start), panel),
            (_, Some(arrange)) => self.strips(matrix, rows, strip, |strip, start, n_blocks| {
                arrange(strip, n_blocks, start, panel);
            }),
            _ => {}
        }
    }

    /// Up to eight matrix rows, a strip at a time; the last stands in for rows that the matrix does
    /// not have.
    pub(in super::super) fn strips(
        &self,
        matrix: usize,
        rows: Range<usize>,
        strip: &mut Strip,
        mut each: impl FnMut(&Strip, usize, usize),
    ) {
        let format = self.w.format;
        let bytes = |cols: usize| cols / format.block_len * format.block_bytes;
        let mut taken = [0; MOST_BYTES];
        for start in (0..self.w.cols).step_by(STRIP) {
            let cols = STRIP.min(self.w.cols - start);
            let own = bytes(start)..bytes(start + cols);
            for row in 0..GROUP_ROWS {
                let blocks = if self.w.eights {
                    self.taken(matrix, rows.start, row, own.clone(), &mut taken)
                } else {
                    &self.w.row(matrix, (rows.start + row).min(rows.end - 1))[own.clone()]
                };
                (self.coded.unpack)(blocks, row, strip);
            }
            each(strip, start / BLOCK, cols / BLOCK);
        }
    }

    /// Some of a row's blocks, out of eight that lie together: where the machine reads no others.
    fn taken<'t>(
        &self,
        matrix: usize,
        first: usize,
        row: usize,
        own: Range<usize>,
        taken: &'t mut [u8; MOST_BYTES],
    ) -> &'t [u8] {
        let (block, taken) = (self.w.format.block_bytes, &mut taken[..own.len()]);
        let eight = &self.w.eight(matrix, first)[GROUP_ROWS * own.start..GROUP_ROWS * own.end];
        if let Some(layout) = arranged::layout(self.w.format) {
            let blocks = taken.chunks_exact_mut(block).zip(eight.chunks_exact(GROUP_ROWS * block));
            blocks.for_each(|(taken, eight)| layout.take(eight, row, taken));
        }
        taken
    }
}
