//! Products with activations as they are: a panel of matrix rows is decoded, a stretch of columns
//! at a time, and multiplied with every activation row that wants it.

use super::super::pool::Pool;
use super::groups::{Group, Groups, Row};
use super::kernels::{self, Kernels, MOST_X, PANEL, TILE};
use super::output::Output;
use super::packed::{Packed, STRETCH, STRETCH_LANES};
use super::tree::{LANES, Lanes};
use super::{Matrices, Misfit};
use crate::quant::Decode;
use std::cell::RefCell;

/// Activation rows between two decodings of a panel: their sums fit the second cache.
const MOST_ROWS: usize = 96;
/// Activation rows whose stretch stays in the first cache beside a tile's.
const NEAR_ROWS: usize = 9;

/// What a thread works in; kept from product to product.
struct Scratch {
    /// `[PANEL rows][lanes of a stretch]`
    panel: Vec<Lanes>,
    /// `[MOST_ROWS][PANEL]`
    sums: Vec<Lanes>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = const {
        RefCell::new(Scratch { panel: Vec::new(), sums: Vec::new() })
    };
}

/// Everything that is the same for all panels.
struct Plan<'p> {
    w: &'p Matrices<'p>,
    x: Packed,
    out: &'p Output<'p>,
    kernels: Kernels,
    decode: Decode,
}

pub(super) fn product(
    pool: &Pool,
    w: &Matrices,
    x: &[f32],
    n: usize,
    groups: &Groups,
    out: &Output,
) -> Result<(), Misfit> {
    let mut decoders = w.format.decoders().filter(|(level, _)| *level <= pool.level());
    let decode = decoders.next().ok_or(Misfit::Format(w.format.name))?.1;
    let x = Packed::new(pool, x, n, w.cols);
    let plan = Plan { w, x, out, kernels: kernels::of(pool.level()), decode };
    let n_panels = w.rows.div_ceil(PANEL);
    pool.each(groups.0.len() * n_panels, &|item| {
        let (group, panel) = (&groups.0[item / n_panels], item % n_panels);
        SCRATCH.with_borrow_mut(|scratch| plan.panel(group, panel * PANEL, scratch));
    });
    Ok(())
}

impl Plan<'_> {
    /// All outputs of up to 16 matrix rows from `first` on.
    fn panel(&self, group: &Group, first: usize, scratch: &mut Scratch) {
        let n_rows = PANEL.min(self.w.rows - first);
        scratch.panel.resize(PANEL * STRETCH_LANES, Lanes::ZERO);
        for rows in group.rows.chunks(MOST_ROWS) {
            scratch.sums.clear();
            scratch.sums.resize(rows.len() * PANEL, Lanes::ZERO);
            for stretch in 0..self.x.n_stretches() {
                let len = self.x.width(stretch).div_ceil(LANES);
                let panel = &mut scratch.panel[..PANEL * len];
                self.decode(group.matrix, first, n_rows, stretch, panel);
                let near = rows.chunks(NEAR_ROWS).zip(scratch.sums.chunks_mut(NEAR_ROWS * PANEL));
                for (rows, sums) in near {
                    let tiles = panel.chunks_exact(TILE * len).take(n_rows.div_ceil(TILE));
                    for (tile, w) in tiles.enumerate() {
                        self.tile(stretch, w, rows, &mut sums[TILE * tile..]);
                    }
                }
            }
            for (row, sums) in rows.iter().zip(scratch.sums.as_chunks::<PANEL>().0) {
                let values = (self.kernels.fold)(sums);
                // SAFETY: the place belongs to this panel and this row, and each pair of the two
                // is one item of the dispatch.
                unsafe { self.out.write(row.out * self.w.rows + first, &values[..n_rows]) };
            }
        }
    }

    /// One stretch of the panel's rows as numbers; a row ends in zeros, and rows that the matrix
    /// does not have keep what they held, because their sums are never looked at.
    fn decode(
        &self,
        matrix: usize,
        first: usize,
        n_rows: usize,
        stretch: usize,
        panel: &mut [Lanes],
    ) {
        let (format, width) = (self.w.format, self.x.width(stretch));
        let start = stretch * STRETCH / format.block_len * format.block_bytes;
        let bytes = width / format.block_len * format.block_bytes;
        let len = panel.len() / PANEL;
        for (row, panel) in panel.chunks_exact_mut(len).take(n_rows).enumerate() {
            let blocks = &self.w.row(matrix, first + row)[start..][..bytes];
            let (values, padding) = Lanes::flat(panel).split_at_mut(width);
            (self.decode)(blocks, values);
            padding.fill(0.0);
        }
    }

    /// Four matrix rows times some activation rows, within one stretch.
    fn tile(&self, stretch: usize, w: &[Lanes], rows: &[Row], sums: &mut [Lanes]) {
        for (at, rows) in rows.chunks(MOST_X).enumerate() {
            let row = |i: usize| self.x.row(stretch, rows[i.min(rows.len() - 1)].x);
            let x: [&[Lanes]; MOST_X] = std::array::from_fn(row);
            let kernel = self.kernels.tiles[rows.len() - 1];
            kernel(w, &x[..rows.len()], &mut sums[at * MOST_X * PANEL..]);
        }
    }
}
