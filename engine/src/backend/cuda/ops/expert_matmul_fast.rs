//! Multiplies rows of a prompt with the matrices of the experts that were picked for them, in 16
//! bits.

use super::expert_matmul::{Groups, Product};
use super::matmul_fast::{OUTPUTS, SHARED, THREADS};
use super::round::Rounded;
use super::small;
use super::spread::{Part, Spread, power_of_two, unit};
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::layout::Layout;
use crate::backend::cuda::module::{Argument, Function};
use crate::backend::cuda::rows::Scratch;
use crate::backend::cuda::step::Step;
use crate::backend::cuda::stream::Stream;
use crate::error::{Error, Result};

pub(in crate::backend::cuda) struct ExpertMatmulFast {
    halves: Function,
    pairs: Function,
    units: Function,
}

/// Rows by expert, rounded.
pub(in crate::backend::cuda) struct Sorted<'s> {
    pub(in crate::backend::cuda) x: &'s Rounded,
    pub(in crate::backend::cuda) groups: &'s Groups,
}

impl ExpertMatmulFast {
    pub(super) fn new(kernels: &Kernels) -> Result<ExpertMatmulFast> {
        let find = |source: &str| -> Result<Function> {
            let symbol = format!("expert_matmul_fast_{source}");
            let function = kernels.function("expert_matmul_fast", &symbol)?;
            function.allow_shared(SHARED)?;
            Ok(function)
        };
        Ok(ExpertMatmulFast {
            halves: find("halves")?,
            pairs: find("mxfp4_pairs")?,
            units: find("mxfp4_units")?,
        })
    }

    pub(in crate::backend::cuda) fn run(
        &self,
        stream: &Stream,
        (scratch, spread): (&Scratch, &Spread),
        product: &Product<'_>,
        sorted: &Sorted<'_>,
        step: &Step,
    ) -> Result<()> {
        let weight = product.weight;
        let all = weight.rows_per_expert;
        let whole = Part { first: 0, outputs: all, all, experts: weight.rows / all.max(1) };
        // Gate and up share items, so that an expert's take twice the bytes of one matrix.
        let of_expert = weight.bytes() / whole.experts.max(1);
        let part = |function, matrix, bytes, done| {
            self.part(function, stream, product, sorted, (matrix, bytes, done), whole, step)
        };
        match weight.layout {
            Layout::Pairs { .. } => part(&self.pairs, weight.address(), 2 * of_expert, 0),
            Layout::Units { .. } => part(&self.units, weight.address(), of_expert, 0),
            Layout::File => Part::of(weight).try_for_each(|part| {
                let halves = spread.run(stream, scratch, weight, part, unit(weight))?;
                let matrix = (halves.at(0), part.bytes(weight.width), 1);
                self.part(&self.halves, stream, product, sorted, matrix, part, step)
            }),
            layout => Err(Error::kernel("expert_matmul_fast", format!("not for {layout:?}"))),
        }
    }

    #[allow(clippy::too_many_arguments)] // it is what the product depends on
    fn part(
        &self,
        function: &Function,
        stream: &Stream,
        product: &Product<'_>,
        Sorted { x, groups }: &Sorted<'_>,
        (matrix, bytes, done): (impl Argument, usize, i32),
        part: Part,
        step: &Step,
    ) -> Result<()> {
        let Product { out, weight, bias, routing, share, .. } = product;
        let unit = unit(weight);
        let launch = function.launch();
        let launch = launch.grid(groups.n_tiles, part.outputs.div_ceil(OUTPUTS), 1);
        let launch = launch.block(THREADS, 1).shared(SHARED);
        let launch = launch.arg(*out).arg(&x.halves).arg(&x.undo).arg(small(x.stride)?);
        let launch = launch.arg(matrix).arg(weight.layout.bits()).arg(bytes as u64);
        let launch = launch.arg(unit * (1 - done)).arg(power_of_two(-unit)).arg(*bias);
        let launch = launch.arg(step.rows_address()).arg(step.behind(routing.rows)?);
        let launch = launch.arg(&groups.order).arg(&groups.tiles).arg(small(weight.width)?);
        let launch = launch.arg(small(part.first)?).arg(small(part.outputs)?);
        let launch = launch.arg(small(part.all)?).arg(small(*share)?);
        launch.arg(small(routing.used)?).on(stream)
    }
}
