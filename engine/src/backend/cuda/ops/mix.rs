//! Adds up each row's experts.

use super::{blocks, small};
use crate::backend::cuda::backend::Routing;
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::module::Function;
use crate::backend::cuda::rows::Rows;
use crate::backend::cuda::stream::Stream;
use crate::error::Result;

const THREADS: u32 = 128;

pub(in crate::backend::cuda) struct Mix(Function);

impl Mix {
    pub(super) fn new(kernels: &Kernels) -> Result<Mix> {
        Ok(Mix(kernels.function("mix", "mix_f32")?))
    }

    pub(in crate::backend::cuda) fn run(
        &self,
        stream: &Stream,
        out: &Rows,
        x: &Rows,
        routing: &Routing,
    ) -> Result<()> {
        let width = out.width();
        let launch = self.0.launch().grid(blocks(width, THREADS), out.count(), 1);
        let launch = launch.block(THREADS, 1).arg(out).arg(x);
        let launch = launch.arg(&routing.ids).arg(&routing.shares);
        launch.arg(small(routing.used)?).arg(small(width)?).on(stream)
    }
}
