//! Chooses the next token of a row.

use super::choose_few::ChooseFew;
use super::{blocks, small};
use crate::backend::Follow;
use crate::backend::cuda::decode::To;
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::module::Function;
use crate::backend::cuda::rows::{Rows, Scratch};
use crate::backend::cuda::step::Step;
use crate::backend::cuda::stream::Stream;
use crate::error::{Error, Result};

/// `BLOCK` and `MOST_SUMS` of the kernels, and bytes of what each block says is largest.
const BLOCK: u32 = 256;
const MOST_SUMS: usize = 4096;
const LARGEST_BYTES: usize = 8;
/// Blocks that look for the largest logit side by side.
const PARTS: usize = 128;

pub(in crate::backend::cuda) struct Choose {
    parts: Function,
    largest: Function,
    weigh: Function,
    draw: Function,
    /// Among the largest logits only.
    few: ChooseFew,
}

impl Choose {
    pub(super) fn new(kernels: &Kernels) -> Result<Choose> {
        let find = |symbol: &str| kernels.function("choose", symbol);
        Ok(Choose {
            parts: find("largest_parts_f32")?,
            largest: find("largest_f32")?,
            weigh: find("weigh_f32")?,
            draw: find("draw_f32")?,
            few: ChooseFew::new(kernels)?,
        })
    }

    /// What follows the only row of `step`, of which `logits` are.
    pub(in crate::backend::cuda) fn run(
        &self,
        stream: &Stream,
        scratch: &Scratch,
        logits: &Rows,
        step: &Step,
        to: &To,
        how: Follow,
    ) -> Result<()> {
        if how.top_k > 0 {
            return self.few.run(stream, scratch, logits, step, to, how);
        }
        let (width, drawn) = (logits.width(), how.temperature > 0.0);
        let (n, sums) = (small(width)?, blocks(width, BLOCK));
        if sums > MOST_SUMS {
            return Err(Error::Usage(format!("{width} logits to choose among")));
        }
        let count = PARTS.min(sums);
        let (best, largest) = (scratch.piece(4)?, scratch.piece(LARGEST_BYTES * count)?);
        let launch = self.parts.launch().grid(count, 1, 1).block(BLOCK, 1);
        launch.arg(&largest).arg(logits).arg(n).on(stream)?;
        let next = if drawn { 0 } else { to.next };
        let launch = self.largest.launch().block(BLOCK, 1).arg(&largest).arg(&best);
        launch.arg(next).arg(to.told).arg(small(count)?).on(stream)?;
        if !drawn {
            return Ok(());
        }
        let parts = scratch.piece(8 * sums)?;
        let launch = self.weigh.launch().grid(sums, 1, 1).block(BLOCK, 1).arg(&parts).arg(logits);
        launch.arg(&best).arg(n).arg(how.temperature).on(stream)?;
        let launch = self.draw.launch().block(BLOCK, 1).arg(&parts).arg(logits).arg(&best);
        let launch = launch.arg(to.next).arg(to.told).arg(step.rows_address()).arg(how.seed);
        launch.arg(n).arg(how.temperature).on(stream)
    }
}
