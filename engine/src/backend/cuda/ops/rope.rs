//! Turns heads by their position's angles.

use super::{blocks, small};
use crate::adapters::Rope;
use crate::adapters::rope::Style;
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::module::Function;
use crate::backend::cuda::rows::Rows;
use crate::backend::cuda::step::Step;
use crate::backend::cuda::stream::Stream;
use crate::error::{Error, Result};

const THREADS: u32 = 128;

pub(in crate::backend::cuda) struct Ropes {
    neox: Function,
    normal: Function,
}

impl Ropes {
    pub(super) fn new(kernels: &Kernels) -> Result<Ropes> {
        let find = |symbol: &str| kernels.function("rope", symbol);
        Ok(Ropes { neox: find("rope_f32_neox")?, normal: find("rope_f32_normal")? })
    }

    pub(in crate::backend::cuda) fn run(
        &self,
        stream: &Stream,
        rows: &Rows,
        rope: &Rope,
        table: usize,
        head_dim: usize,
        step: &Step,
    ) -> Result<()> {
        let function = match rope.style {
            Style::Neox => &self.neox,
            Style::Normal => &self.normal,
        };
        let missing = || Error::Usage(format!("the step has no angles of rotation {table}"));
        let (cosines, sines) = step.angles(table).ok_or_else(missing)?;
        let (heads, pairs) = (rows.width() / head_dim, rope.pairs());
        let count = rows.count() * heads * pairs;
        let launch = function.launch().grid(blocks(count, THREADS), 1, 1).block(THREADS, 1);
        let launch = launch.arg(rows).arg(cosines).arg(sines);
        let launch = launch.arg(small(heads)?).arg(small(head_dim)?).arg(small(pairs)?);
        launch.arg(count as u64).on(stream)
    }
}
