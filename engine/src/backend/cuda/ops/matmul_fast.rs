//! Multiplies rows of a prompt with a matrix in 16 bits.

use super::round::Rounded;
use super::small;
use super::spread::{Part, Spread, power_of_two, unit};
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::layout::Layout;
use crate::backend::cuda::module::{Argument, Function};
use crate::backend::cuda::rows::{Rows, Scratch};
use crate::backend::cuda::step::Step;
use crate::backend::cuda::stream::Stream;
use crate::backend::cuda::tensor::Tensor;
use crate::error::{Error, Result};

/// Rows and outputs of a block, threads, and shared memory: as in fast.cuh.
pub(in crate::backend::cuda) const TOKENS: usize = 128;
pub(super) const OUTPUTS: usize = 256;
pub(super) const THREADS: u32 = 256;
pub(super) const SHARED: u32 = 4 * 128 * 128;

pub(in crate::backend::cuda) struct MatmulFast {
    halves: Function,
    items: Function,
}

/// What is multiplied.
pub(in crate::backend::cuda) struct Factors<'f> {
    pub(in crate::backend::cuda) out: &'f Rows,
    pub(in crate::backend::cuda) x: &'f Rounded,
    pub(in crate::backend::cuda) weight: &'f Tensor,
    pub(in crate::backend::cuda) bias: Option<&'f Tensor>,
}

impl MatmulFast {
    pub(super) fn new(kernels: &Kernels) -> Result<MatmulFast> {
        let find = |symbol: &str| -> Result<Function> {
            let function = kernels.function("matmul_fast", symbol)?;
            function.allow_shared(SHARED)?;
            Ok(function)
        };
        Ok(MatmulFast {
            halves: find("matmul_fast_halves")?,
            items: find("matmul_fast_q8_0_items")?,
        })
    }

    pub(in crate::backend::cuda) fn run(
        &self,
        stream: &Stream,
        (scratch, spread): (&Scratch, &Spread),
        factors: &Factors<'_>,
        step: &Step,
    ) -> Result<()> {
        let weight = factors.weight;
        let whole = Part { first: 0, outputs: weight.rows, all: weight.rows, experts: 1 };
        match weight.layout {
            Layout::Items { .. } => {
                self.part(&self.items, stream, factors, (weight, 0), whole, step)
            }
            Layout::File | Layout::Woven { .. } => Part::of(weight).try_for_each(|part| {
                let halves = spread.run(stream, scratch, weight, part, unit(weight))?;
                // What was multiplied with the unit is not multiplied again.
                self.part(&self.halves, stream, factors, (&halves, 1), part, step)
            }),
            layout => Err(Error::kernel("matmul_fast", format!("not for {layout:?}"))),
        }
    }

    fn part(
        &self,
        function: &Function,
        stream: &Stream,
        Factors { out, x, weight, bias }: &Factors<'_>,
        (matrix, done): (impl Argument, i32),
        part: Part,
        step: &Step,
    ) -> Result<()> {
        let rows = out.count();
        let unit = unit(weight);
        let launch = function.launch();
        let launch = launch.grid(rows.div_ceil(TOKENS), part.outputs.div_ceil(OUTPUTS), 1);
        let launch = launch.block(THREADS, 1).shared(SHARED);
        let launch = launch.arg(*out).arg(&x.halves).arg(&x.undo).arg(small(x.stride)?);
        let launch = launch.arg(matrix).arg(weight.layout.bits()).arg(unit * (1 - done));
        let launch = launch.arg(power_of_two(-unit)).arg(*bias);
        let launch = launch.arg(step.rows_address()).arg(step.behind(rows)?);
        let launch = launch.arg(small(weight.width)?).arg(small(part.first)?);
        let launch = launch.arg(small(part.outputs)?).arg(small(part.all)?);
        launch.arg(small(rows)?).on(stream)
    }
}
