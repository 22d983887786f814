//! Adds rows to rows.

use super::blocks;
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::module::Function;
use crate::backend::cuda::rows::Rows;
use crate::backend::cuda::stream::Stream;
use crate::error::Result;

const THREADS: u32 = 256;

pub(in crate::backend::cuda) struct Add(Function);

impl Add {
    pub(super) fn new(kernels: &Kernels) -> Result<Add> {
        Ok(Add(kernels.function("add", "add_f32")?))
    }

    pub(in crate::backend::cuda) fn run(
        &self,
        stream: &Stream,
        to: &Rows,
        more: &Rows,
    ) -> Result<()> {
        let count = to.elements();
        let launch = self.0.launch().grid(blocks(count, THREADS), 1, 1).block(THREADS, 1);
        launch.arg(to).arg(more).arg(count as u64).on(stream)
    }
}
