//! Products with activations as they are. A few rows of activations are multiplied with a panel
//! of matrix rows that is decoded a stretch of columns at a time; for many rows see `many`.

use super::super::pool::Pool;
use super::groups::{Group, Groups, Row};
use super::kernels::{self, Kernels, Line, MOST_X, PANEL, TILE};
use super::many::{BROAD, ByLane};
use super::output::Output;
use super::packed::{Packed, STRETCH, STRETCH_LANES};
use super::tree::{LANES, Lanes};
use super::{Job, Matrices, Misfit, rows_to_read};
use crate::quant::Decode;
use std::cell::RefCell;
use std::ops::Range;

/// More activation rows than these are worth arranging by lane.
const FEW: usize = 6;

/// What a thread works in; kept from product to product.
struct Scratch {
    /// `[PANEL rows][lanes of a stretch]`
    panel: Vec<Lanes>,
    /// `[FEW][PANEL]`
    sums: Vec<Lanes>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = const {
        RefCell::new(Scratch { panel: Vec::new(), sums: Vec::new() })
    };
}

/// Everything that is the same for all panels.
pub(super) struct Plan<'p> {
    pub(super) w: &'p Matrices<'p>,
    pub(super) out: &'p Output<'p>,
    pub(super) kernels: Kernels,
    decode: Decode,
    /// For a single row of activations.
    line: Option<Line>,
}

pub(super) fn job<'j>(
    pool: &Pool,
    w: &'j Matrices,
    x: &'j [f32],
    n: usize,
    groups: &'j Groups,
    out: &'j Output,
) -> Result<Job<'j>, Misfit> {
    let mut decoders = w.format.decoders().filter(|(level, _)| *level <= pool.level());
    let decode = decoders.next().ok_or(Misfit::Format(w.format.name))?.1;
    let line = kernels::line(w.format.name, pool.level());
    let line = line.filter(|_| w.cols.is_multiple_of(LANES));
    let plan = Plan { w, out, kernels: kernels::of(pool.level()), decode, line };
    let many = |group: &Group| group.rows.len() > FEW;
    let in_place = line.is_some();
    let single = move |group: &Group| group.rows.len() == 1 && in_place;
    let by_lane = groups.0.iter().any(many).then(|| ByLane::new(pool, plan.kernels, x, n, w.cols));
    let packed = groups.0.iter().any(|group| !many(group) && !single(group));
    let packed = packed.then(|| Packed::new(x, n, w.cols));
    let only_read = groups.0.iter().all(single);
    let item_rows = if only_read { rows_to_read(pool, w.rows) } else { BROAD };
    Ok(Job::of_rows(w, groups, item_rows, move |group, first, last| {
        let panels = || (first..last).step_by(PANEL);
        match (&by_lane, &packed) {
            (Some(x), _) if many(group) => plan.panel_by_lane(x, group, first),
            _ if single(group) => panels().for_each(|first| plan.panel_in_place(x, group, first)),
            (_, Some(x)) => SCRATCH.with_borrow_mut(|scratch| {
                panels().for_each(|first| plan.panel(x, group, first, scratch));
            }),
            _ => {}
        }
    }))
}

impl Plan<'_> {
    /// All outputs of up to 16 matrix rows from `first` on.
    fn panel(&self, x: &Packed, group: &Group, first: usize, scratch: &mut Scratch) {
        let n_rows = PANEL.min(self.w.rows - first);
        scratch.panel.resize(PANEL * STRETCH_LANES, Lanes::ZERO);
        scratch.sums.clear();
        scratch.sums.resize(group.rows.len() * PANEL, Lanes::ZERO);
        for stretch in 0..x.n_stretches() {
            let width = x.width(stretch);
            let len = width.div_ceil(LANES);
            let panel = &mut scratch.panel[..PANEL * len];
            let cols = stretch * STRETCH..stretch * STRETCH + width;
            for (row, out) in panel.chunks_exact_mut(len).take(n_rows).enumerate() {
                self.decode(group.matrix, first + row, cols.clone(), out);
            }
            let tiles = panel.chunks_exact(TILE * len).take(n_rows.div_ceil(TILE));
            for (tile, w) in tiles.enumerate() {
                let sums = &mut scratch.sums[TILE * tile..];
                self.tile(w, &group.rows, sums, |row| x.row(stretch, row));
            }
        }
        for (row, sums) in group.rows.iter().zip(scratch.sums.as_chunks::<PANEL>().0) {
            let values = (self.kernels.fold)(sums);
            // SAFETY: the place belongs to this panel and this row, and each pair of the two is
            // one item of the dispatch.
            unsafe { self.out.write(row.out * self.w.rows + first, &values[..n_rows]) };
        }
    }

    /// All outputs of up to 16 matrix rows from `first` on, for the only row of the group.
    fn panel_in_place(&self, x: &[f32], group: &Group, first: usize) {
        let (Some(line), Some(row)) = (self.line, group.rows.first()) else {
            return;
        };
        let n_rows = PANEL.min(self.w.rows - first);
        let x = &x[row.x * self.w.cols..][..self.w.cols];
        let mut sums = [Lanes::ZERO; PANEL];
        let tiles = sums.as_chunks_mut::<TILE>().0.iter_mut().take(n_rows.div_ceil(TILE));
        for (tile, sums) in tiles.enumerate() {
            // The last row stands in for rows that the matrix does not have.
            let blocks = |r: usize| (first + TILE * tile + r).min(first + n_rows - 1);
            let w = std::array::from_fn(|r| self.w.row(group.matrix, blocks(r)));
            line(&w, x, sums);
        }
        let values = (self.kernels.fold)(&sums);
        // SAFETY: as in `panel`.
        unsafe { self.out.write(row.out * self.w.rows + first, &values[..n_rows]) };
    }

    /// Some columns of one matrix row as numbers, filled up with zeros to whole lanes.
    pub(super) fn decode(&self, matrix: usize, row: usize, cols: Range<usize>, out: &mut [Lanes]) {
        let format = self.w.format;
        let bytes = |col: usize| col / format.block_len * format.block_bytes;
        let blocks = &self.w.row(matrix, row)[bytes(cols.start)..bytes(cols.end)];
        let (values, padding) = Lanes::flat(out).split_at_mut(cols.len());
        (self.decode)(blocks, values);
        padding.fill(0.0);
    }

    /// Four matrix rows times the activation rows, within one stretch.
    fn tile<'x>(
        &self,
        w: &[Lanes],
        rows: &[Row],
        sums: &mut [Lanes],
        x: impl Fn(usize) -> &'x [Lanes],
    ) {
        for (at, rows) in rows.chunks(MOST_X).enumerate() {
            let row = |i: usize| x(rows[i.min(rows.len() - 1)].x);
            let x: [&[Lanes]; MOST_X] = std::array::from_fn(row);
            let kernel = self.kernels.tiles[rows.len() - 1];
            kernel(w, &x[..rows.len()], &mut sums[at * MOST_X * PANEL..]);
        }
    }
}
