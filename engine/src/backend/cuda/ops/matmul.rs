//! Multiplies rows with a matrix of any block format.

use super::{ByFormat, small};
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::rows::Rows;
use crate::backend::cuda::stream::Stream;
use crate::backend::cuda::tensor::Tensor;
use crate::error::Result;

const WARPS: usize = 4;
/// Rows that share the decoded weights: `ROWS` of the kernel.
const ROWS: usize = 8;

pub(in crate::backend::cuda) struct Matmul(ByFormat);

impl Matmul {
    pub(super) fn new(kernels: &Kernels) -> Result<Matmul> {
        Ok(Matmul(ByFormat::new(kernels, "matmul", "matmul_f32")?))
    }

    pub(in crate::backend::cuda) fn run(
        &self,
        stream: &Stream,
        out: &Rows,
        x: &Rows,
        weight: &Tensor,
        bias: Option<&Tensor>,
    ) -> Result<()> {
        let (outputs, rows) = (weight.rows, x.count());
        let launch = self.0.of(weight.format)?.launch().block(32 * WARPS as u32, 1);
        let launch = launch.grid(outputs.div_ceil(WARPS), rows.div_ceil(ROWS), 1);
        let launch = launch.arg(out).arg(x).arg(weight).arg(bias);
        launch.arg(small(weight.width)?).arg(small(outputs)?).arg(small(rows)?).on(stream)
    }
}
