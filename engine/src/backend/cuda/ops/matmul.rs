//! Multiplies rows with a matrix of any block format: rows of a prompt on tensor cores, generated
//! rows one by one, in `line` where their matrix has a place there. The role alone decides, never
//! how many there are.

use super::{ByFormat, From, Line, Matrix, Which, small};
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::module::{Argument, Launch};
use crate::backend::cuda::rows::Rows;
use crate::backend::cuda::step::Step;
use crate::backend::cuda::stream::Stream;
use crate::backend::cuda::tensor::Tensor;
use crate::error::Result;

const WARPS: usize = 4;
/// Generated rows that share the decoded weights: `ROWS` of the kernel.
const ROWS: usize = 8;
/// Rows and outputs of a tile of tile.cuh.
pub(in crate::backend::cuda) const TILE: usize = 64;

pub(in crate::backend::cuda) struct Matmul {
    generated: ByFormat,
    prompt: ByFormat,
    line: Line,
}

impl Matmul {
    pub(super) fn new(kernels: &Kernels, line: &Line) -> Result<Matmul> {
        Ok(Matmul {
            generated: ByFormat::and_packed(kernels, "matmul", "matmul_f32")?,
            prompt: ByFormat::and_packed(kernels, "matmul_prompt", "matmul_prompt_f32")?,
            line: line.clone(),
        })
    }

    /// `prompt`: whether rows of a prompt are computed here too.
    #[allow(clippy::too_many_arguments)] // it is what the product depends on
    pub(in crate::backend::cuda) fn run(
        &self,
        stream: &Stream,
        out: &Rows,
        x: &Rows,
        (weight, bias): (&Tensor, Option<&Tensor>),
        step: &Step,
        prompt: bool,
    ) -> Result<()> {
        let (outputs, rows) = (weight.rows, x.count());
        let with = |launch: Launch<'_>| -> Result<()> {
            let launch = launch.block(32 * WARPS as u32, 1).arg(out).arg(x).arg(weight);
            let launch = launch.arg(weight.layout.bits()).arg(bias);
            let launch = launch.arg(step.rows_address()).arg(step.behind(rows)?);
            launch.arg(small(weight.width)?).arg(small(outputs)?).arg(small(rows)?).on(stream)
        };
        if step.prompt && prompt {
            let launch = self.prompt.of(weight)?.launch();
            with(launch.grid(rows.div_ceil(TILE), outputs.div_ceil(TILE), 1))?;
        }
        if step.generated && self.line.takes(weight) {
            let (step_rows, wanted) = (step.rows_address().bits(), step.behind(rows)?.bits());
            let which = Which { rows, gather: 0, step: step_rows, wanted };
            let (to, from) = ((out.address(), outputs), From::Rows(x.address()));
            let matrix = Matrix::all(weight, bias);
            return self.line.project(stream, to, &from, &which, &[matrix], false);
        }
        if step.generated {
            let launch = self.generated.of(weight)?.launch();
            with(launch.grid(outputs.div_ceil(WARPS), rows.div_ceil(ROWS), 1))?;
        }
        Ok(())
    }
}
