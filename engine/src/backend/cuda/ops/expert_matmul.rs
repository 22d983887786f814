//! Multiplies rows with the matrices of the experts that were picked for them.

use super::{ByFormat, small};
use crate::backend::cuda::backend::Routing;
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::rows::Rows;
use crate::backend::cuda::stream::Stream;
use crate::backend::cuda::tensor::Tensor;
use crate::error::Result;

const WARPS: usize = 4;

pub(in crate::backend::cuda) struct ExpertMatmul(ByFormat);

impl ExpertMatmul {
    pub(super) fn new(kernels: &Kernels) -> Result<ExpertMatmul> {
        Ok(ExpertMatmul(ByFormat::new(kernels, "expert_matmul", "expert_matmul_f32")?))
    }

    /// `share` slots in a row read the same row of `x`.
    #[allow(clippy::too_many_arguments)] // it is what the product depends on
    pub(in crate::backend::cuda) fn run(
        &self,
        stream: &Stream,
        out: &Rows,
        x: &Rows,
        weight: &Tensor,
        bias: Option<&Tensor>,
        routing: &Routing,
        share: usize,
    ) -> Result<()> {
        let outputs = weight.rows_per_expert;
        let launch = self.0.of(weight.format)?.launch().block(32 * WARPS as u32, 1);
        let launch = launch.grid(outputs.div_ceil(WARPS), out.count(), 1);
        let launch = launch.arg(out).arg(x).arg(weight).arg(bias).arg(&routing.ids);
        launch.arg(small(weight.width)?).arg(small(outputs)?).arg(small(share)?).on(stream)
    }
}
