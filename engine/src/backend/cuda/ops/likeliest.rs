//! Looks for the largest logits of a row.

use super::{blocks, small};
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::module::Function;
use crate::backend::cuda::rows::{Rows, Scratch};
use crate::backend::cuda::stream::Stream;
use crate::error::Result;

/// `BLOCK` and `PARTS` of the kernels, and the bytes of their `Found`.
const BLOCK: u32 = 1024;
const PARTS: usize = 1024;
const FOUND_BYTES: usize = 2 * 4 * PARTS + 4 + 8 * 2048;
/// Blocks that look for candidates side by side, at most.
const MOST_BLOCKS: usize = 128;

pub(in crate::backend::cuda) struct Likeliest {
    tops: Function,
    near: Function,
    likeliest: Function,
}

impl Likeliest {
    pub(super) fn new(kernels: &Kernels) -> Result<Likeliest> {
        let find = |symbol: &str| kernels.function("likeliest", symbol);
        Ok(Likeliest {
            tops: find("likeliest_tops_f32")?,
            near: find("likeliest_near_f32")?,
            likeliest: find("likeliest_f32")?,
        })
    }

    /// The `k` largest of the only row of logits, told to the words at `told`: how many are there,
    /// and then their ids and logits in turn.
    pub(in crate::backend::cuda) fn run(
        &self,
        stream: &Stream,
        scratch: &Scratch,
        logits: &Rows,
        told: u64,
        k: u32,
    ) -> Result<()> {
        let (found, n) = (scratch.piece(FOUND_BYTES)?, small(logits.width())?);
        let launch = self.tops.launch().grid(PARTS / 32, 1, 1).block(BLOCK, 1);
        launch.arg(&found).arg(logits).arg(n).on(stream)?;
        let grid = blocks(logits.width(), BLOCK).min(MOST_BLOCKS);
        let launch = self.near.launch().grid(grid, 1, 1).block(BLOCK, 1);
        launch.arg(&found).arg(logits).arg(n).arg(k).on(stream)?;
        let launch = self.likeliest.launch().block(BLOCK, 1).arg(&found).arg(logits);
        launch.arg(told).arg(k).on(stream)
    }
}
