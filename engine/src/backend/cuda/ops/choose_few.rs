//! Chooses the next token of a row among its largest logits.

use super::{blocks, small};
use crate::backend::Follow;
use crate::backend::cuda::decode::To;
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::module::Function;
use crate::backend::cuda::rows::{Rows, Scratch};
use crate::backend::cuda::step::Step;
use crate::backend::cuda::stream::Stream;
use crate::error::Result;

/// `THREADS` and `PARTS` of the kernels, and the bytes of their `Found`.
const THREADS: u32 = 1024;
const PARTS: usize = 1024;
const FOUND_BYTES: usize = 2 * 4 * PARTS + 4 + 8 * 2048;
/// Blocks that look for candidates side by side, at most.
const MOST_BLOCKS: usize = 128;

pub(super) struct ChooseFew {
    tops: Function,
    near: Function,
    draw: Function,
}

impl ChooseFew {
    pub(super) fn new(kernels: &Kernels) -> Result<ChooseFew> {
        let find = |symbol: &str| kernels.function("choose_few", symbol);
        let (tops, near) = (find("few_tops_f32")?, find("few_near_f32")?);
        Ok(ChooseFew { tops, near, draw: find("draw_few_f32")? })
    }

    /// What follows the only row of `step`, of which `logits` are.
    pub(super) fn run(
        &self,
        stream: &Stream,
        scratch: &Scratch,
        logits: &Rows,
        step: &Step,
        to: &To,
        how: Follow,
    ) -> Result<()> {
        let (found, n) = (scratch.piece(FOUND_BYTES)?, small(logits.width())?);
        let launch = self.tops.launch().grid(PARTS / 32, 1, 1).block(THREADS, 1);
        launch.arg(&found).arg(logits).arg(n).on(stream)?;
        let grid = blocks(logits.width(), THREADS).min(MOST_BLOCKS);
        let launch = self.near.launch().grid(grid, 1, 1).block(THREADS, 1);
        launch.arg(&found).arg(logits).arg(n).arg(how.top_k).on(stream)?;
        let launch = self.draw.launch().block(THREADS, 1).arg(&found).arg(to.next).arg(to.told);
        let launch = launch.arg(step.rows_address()).arg(how.seed).arg(how.top_k);
        let launch = launch.arg(how.temperature).arg(how.top_p).arg(how.min_p);
        launch.arg(f64::from(how.min_p).ln().to_bits()).on(stream)
    }
}
