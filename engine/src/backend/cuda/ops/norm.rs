//! Normalises rows, or the sum of rows.

use super::round::{self, Rounded};
use super::small;
use crate::adapters::weights::NormWeights;
use crate::adapters::{Norm, NormKind};
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::module::Function;
use crate::backend::cuda::rows::Rows;
use crate::backend::cuda::stream::Stream;
use crate::backend::cuda::tensor::Tensor;
use crate::error::Result;

pub(in crate::backend::cuda) struct Norms {
    rms: Function,
    layer: Function,
    threads: u32,
}

impl Norms {
    pub(super) fn new(kernels: &Kernels) -> Result<Norms> {
        let find = |symbol: &str| kernels.function("norm", symbol);
        let (rms, layer) = (find("norm_rms_f32")?, find("norm_layer_f32")?);
        let threads = rms.threads_max()?;
        Ok(Norms { rms, layer, threads })
    }

    /// `out` is `x`, normalised, to which `more` is added first; in f16 also, if so wanted.
    pub(in crate::backend::cuda) fn run(
        &self,
        stream: &Stream,
        norm: Norm,
        weights: &NormWeights<Tensor>,
        out: &Rows,
        (x, more): (&Rows, Option<&Rows>),
        rounded: Option<&Rounded>,
    ) -> Result<()> {
        let function = match norm.kind {
            NormKind::Rms => &self.rms,
            NormKind::Layer => &self.layer,
        };
        let bias = weights.bias.as_ref().map(Tensor::vector).transpose()?;
        let launch = function.launch().grid(x.count(), 1, 1).block(self.threads, 1);
        let launch = launch.arg(out).arg(x).arg(more).arg(weights.weight.vector()?).arg(bias);
        let launch = launch.arg(small(x.width())?).arg(norm.epsilon);
        round::into(launch, rounded)?.on(stream)
    }
}
