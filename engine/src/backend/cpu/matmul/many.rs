//! Products with many rows of activations. What costs is multiplying, so decoded numbers are laid
//! out for it: by lane of the sum first, because then a register can hold one lane of sixteen
//! matrix rows, and a loop runs along a whole lane without a sum ever leaving its register.

use super::super::pool::Pool;
use super::exact::Plan;
use super::groups::{Group, Row};
use super::kernels::{Kernels, MOST_STRIPE, PANEL};
use super::output::Output;
use super::spread;
use super::tree::{LANES, Lanes};
use std::cell::RefCell;

/// Activation rows whose sums are kept at a time: they fill half of the second cache.
const MOST_ROWS: usize = 120;
/// Columns decoded at a time: a whole number of blocks of every format.
const CHUNK: usize = 256;
/// Matrix rows that a thread takes: two registers' worth, so that activations come half as often
/// from far away.
pub(super) const BROAD: usize = 2 * PANEL;
/// Steps of a lane, sixteen columns each, that are decoded at a time: half a lane of them is most
/// of the first cache. Shorter rows are decoded once, whatever the number of activation rows.
const MOST_STEPS: usize = 320;

/// What a thread works in; kept from product to product.
struct Scratch {
    /// `[PANEL rows][lanes of a chunk]`
    rows: Vec<Lanes>,
    /// `[lane][half of the panel][step]`, each with a number of every row of the half; one more
    /// step, which nobody reads, keeps lanes from falling on each other in the cache.
    panel: Vec<Lanes>,
    /// `[half of the panel][lane][activation row]`, each with a number of every row of the half.
    sums: Vec<Lanes>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = const {
        RefCell::new(Scratch { rows: Vec::new(), panel: Vec::new(), sums: Vec::new() })
    };
}

/// Activations by lane: `[lane][row][step]`, rows filled up with zeros.
pub(super) struct ByLane {
    lanes: Vec<Lanes>,
    n_rows: usize,
    cols: usize,
    chunks: usize,
}

impl ByLane {
    /// Arranges `[n_rows, cols]`.
    pub(super) fn new(
        pool: &Pool,
        kernels: Kernels,
        x: &[f32],
        n_rows: usize,
        cols: usize,
    ) -> Self {
        let chunks = cols.div_ceil(CHUNK);
        let mut lanes = vec![Lanes::ZERO; LANES * n_rows * chunks];
        let out = Output::new(Lanes::flat(&mut lanes));
        spread(pool, n_rows * cols, n_rows, &|row| {
            let x = &x[row * cols..][..cols];
            for (chunk, values) in x.chunks(CHUNK).enumerate() {
                let (mut steps, mut by_lane) = ([Lanes::ZERO; LANES], [Lanes::ZERO; LANES]);
                Lanes::flat(&mut steps)[..values.len()].copy_from_slice(values);
                (kernels.transpose)(&steps, 1, &mut by_lane, 1);
                for (lane, values) in by_lane.iter().enumerate() {
                    let at = (lane * n_rows + row) * chunks + chunk;
                    // SAFETY: the place belongs to this row alone.
                    unsafe { out.write(at * LANES, &values.0) };
                }
            }
        });
        ByLane { lanes, n_rows, cols, chunks }
    }

    fn steps(&self) -> usize {
        self.cols.div_ceil(LANES)
    }

    /// One lane of a row, from a step on.
    fn lane(&self, lane: usize, row: usize, first: usize) -> &[f32] {
        let lanes = &self.lanes[(lane * self.n_rows + row) * self.chunks..][..self.chunks];
        &Lanes::numbers(lanes)[first..]
    }
}

impl Plan<'_> {
    /// All outputs of up to 32 matrix rows from `first` on.
    pub(super) fn panel_by_lane(&self, x: &ByLane, group: &Group, first: usize) {
        SCRATCH.with_borrow_mut(|scratch| {
            let n_outputs = BROAD.min(self.w.rows - first);
            let whole = x.steps() <= MOST_STEPS;
            if whole {
                self.fill(group.matrix, first, n_outputs, 0, x.steps(), scratch);
            }
            let parts = group.rows.len().div_ceil(MOST_ROWS);
            let tile = self.kernels.stripes.len();
            let rows = group.rows.len().div_ceil(parts).next_multiple_of(tile);
            for rows in group.rows.chunks(rows) {
                let halves = n_outputs.div_ceil(PANEL);
                scratch.sums.clear();
                scratch.sums.resize(halves * LANES * rows.len(), Lanes::ZERO);
                if whole {
                    self.lanes(x, rows, n_outputs, 0, x.steps(), scratch);
                } else {
                    self.stretches(x, group.matrix, rows, first, n_outputs, scratch);
                }
                self.finish(rows, first, n_outputs, &scratch.sums);
            }
        });
    }

    /// Rows too long for their panel to stay near, a stretch at a time.
    fn stretches(
        &self,
        x: &ByLane,
        matrix: usize,
        rows: &[Row],
        first: usize,
        n_outputs: usize,
        scratch: &mut Scratch,
    ) {
        let parts = x.steps().div_ceil(MOST_STEPS);
        let most = x.steps().div_ceil(parts).next_multiple_of(CHUNK / LANES);
        for start in (0..x.steps()).step_by(most) {
            let len = most.min(x.steps() - start);
            self.fill(matrix, first, n_outputs, start, len, scratch);
            self.lanes(x, rows, n_outputs, start, len, scratch);
        }
    }

    /// Adds the products of the panel's steps to the sums of some rows.
    fn lanes(
        &self,
        x: &ByLane,
        rows: &[Row],
        n_outputs: usize,
        start: usize,
        len: usize,
        scratch: &mut Scratch,
    ) {
        let halves = n_outputs.div_ceil(PANEL);
        for (lane, w) in scratch.panel.chunks_exact(2 * len + 1).enumerate() {
            let (w, sums) = (&w[..halves * len], &mut scratch.sums[lane * rows.len()..]);
            self.lane(w, len, rows, sums, |row| x.lane(lane, row, start));
        }
    }

    /// Folds the sums of some rows.
    fn finish(&self, rows: &[Row], first: usize, n_outputs: usize, sums: &[Lanes]) {
        for (half, sums) in sums.chunks_exact(LANES * rows.len()).enumerate() {
            let (first, n) = (first + half * PANEL, PANEL.min(n_outputs - half * PANEL));
            for (i, row) in rows.iter().enumerate() {
                let values = (self.kernels.fold_across)(&sums[i..], rows.len());
                let at = row.out * self.w.rows + first;
                match n {
                    // SAFETY: the place belongs to this panel and this row, and each pair of the
                    // two is one item of the dispatch.
                    PANEL => unsafe { self.out.write(at, &values.0) },
                    // SAFETY: as above.
                    _ => unsafe { self.out.write(at, &values.0[..n]) },
                }
            }
        }
    }

    /// One lane of all sums of a panel.
    fn lane<'x>(
        &self,
        w: &[Lanes],
        len: usize,
        rows: &[Row],
        sums: &mut [Lanes],
        x: impl Fn(usize) -> &'x [f32],
    ) {
        let most = self.kernels.stripes.len();
        for (tile, tile_rows) in rows.chunks(most).enumerate() {
            let mut own: [&[f32]; MOST_STRIPE] = [&[]; MOST_STRIPE];
            for (own, row) in own.iter_mut().zip(tile_rows) {
                *own = x(row.x);
            }
            let kernel = self.kernels.stripes[tile_rows.len() - 1];
            for (half, w) in w.chunks_exact(len).enumerate() {
                let sums = &mut sums[half * LANES * rows.len() + tile * most..];
                kernel(w, &own[..tile_rows.len()], sums);
            }
        }
    }

    /// Decodes `len` steps of the panel's rows and arranges them by lane.
    fn fill(
        &self,
        matrix: usize,
        first: usize,
        n_rows: usize,
        start: usize,
        len: usize,
        scratch: &mut Scratch,
    ) {
        const STEPS: usize = CHUNK / LANES;
        let stride = 2 * len + 1;
        scratch.rows.resize(BROAD * STEPS, Lanes::ZERO);
        scratch.panel.resize(LANES * stride, Lanes::ZERO);
        for done in (0..len).step_by(STEPS) {
            let cols = (start + done) * LANES;
            let cols = cols..(cols + CHUNK).min(self.w.cols);
            for (row, out) in scratch.rows.chunks_exact_mut(STEPS).take(n_rows).enumerate() {
                self.decode(matrix, first + row, cols.clone(), out);
            }
            for half in 0..n_rows.div_ceil(PANEL) {
                for step in 0..STEPS.min(len - done) {
                    let from = &scratch.rows[half * PANEL * STEPS + step..];
                    let to = &mut scratch.panel[half * len + done + step..];
                    (self.kernels.transpose)(from, STEPS, to, stride);
                }
            }
        }
    }
}
