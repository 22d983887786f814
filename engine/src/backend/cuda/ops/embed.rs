//! Looks rows up in tables.

use super::{ByFormat, blocks, small};
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::module::Function;
use crate::backend::cuda::rows::Rows;
use crate::backend::cuda::step::Step;
use crate::backend::cuda::stream::Stream;
use crate::backend::cuda::tensor::Tensor;
use crate::error::Result;

const THREADS: u32 = 64;

pub(in crate::backend::cuda) struct Embed {
    tokens: ByFormat,
    positions: ByFormat,
}

impl Embed {
    pub(super) fn new(kernels: &Kernels) -> Result<Embed> {
        Ok(Embed {
            tokens: ByFormat::new(kernels, "embed", "embed")?,
            positions: ByFormat::new(kernels, "embed", "add_positions")?,
        })
    }

    /// Each row's token.
    pub(in crate::backend::cuda) fn tokens(
        &self,
        stream: &Stream,
        out: &Rows,
        table: &Tensor,
        step: &Step,
    ) -> Result<()> {
        launch(self.tokens.of(table)?, stream, out, table, step)
    }

    /// Each row's position, added.
    pub(in crate::backend::cuda) fn positions(
        &self,
        stream: &Stream,
        rows: &Rows,
        table: &Tensor,
        step: &Step,
    ) -> Result<()> {
        launch(self.positions.of(table)?, stream, rows, table, step)
    }
}

fn launch(
    function: &Function,
    stream: &Stream,
    rows: &Rows,
    table: &Tensor,
    step: &Step,
) -> Result<()> {
    // A thread decodes eight elements.
    let grid = blocks(table.width.div_ceil(8), THREADS);
    let launch = function.launch().grid(grid, step.rows, 1).block(THREADS, 1);
    let launch = launch.arg(rows).arg(table).arg(table.layout.bits());
    launch.arg(step.rows_address()).arg(small(table.width)?).on(stream)
}
