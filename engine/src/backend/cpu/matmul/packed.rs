//! A few rows of activations as the exact kernels read them: cut into stretches of columns, so
//! that a stretch stays in the nearest cache, aligned, and filled up with zeros to whole lanes.

use super::tree::{LANES, Lanes};

/// Columns of a stretch: a whole number of blocks of every format.
pub(super) const STRETCH: usize = 512;
/// Lanes of a full stretch.
pub(super) const STRETCH_LANES: usize = STRETCH / LANES;

/// `[stretch][row][lanes of the stretch]`; only the last stretch may be shorter.
pub(super) struct Packed {
    lanes: Vec<Lanes>,
    n_rows: usize,
    cols: usize,
}

impl Packed {
    /// Packs `[n_rows, cols]`.
    pub(super) fn new(x: &[f32], n_rows: usize, cols: usize) -> Self {
        let mut lanes = vec![Lanes::ZERO; n_rows * cols.div_ceil(LANES)];
        let out = Lanes::flat(&mut lanes);
        for row in 0..n_rows {
            for (stretch, values) in x[row * cols..][..cols].chunks(STRETCH).enumerate() {
                let width = values.len().div_ceil(LANES);
                let at = (stretch * STRETCH_LANES * n_rows + row * width) * LANES;
                out[at..][..values.len()].copy_from_slice(values);
            }
        }
        Packed { lanes, n_rows, cols }
    }

    pub(super) fn n_stretches(&self) -> usize {
        self.cols.div_ceil(STRETCH)
    }

    /// Columns of a stretch.
    pub(super) fn width(&self, stretch: usize) -> usize {
        (self.cols - stretch * STRETCH).min(STRETCH)
    }

    /// One row within a stretch.
    pub(super) fn row(&self, stretch: usize, row: usize) -> &[Lanes] {
        let width = self.width(stretch).div_ceil(LANES);
        &self.lanes[stretch * STRETCH_LANES * self.n_rows + row * width..][..width]
    }
}
