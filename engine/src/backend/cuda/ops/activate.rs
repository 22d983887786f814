//! The functions between the projections of a feed-forward network.

use super::round::{self, Rounded};
use super::small;
use crate::adapters::{Activation, Gelu};
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::module::Function;
use crate::backend::cuda::rows::Rows;
use crate::backend::cuda::stream::Stream;
use crate::error::{Error, Result};

const THREADS: u32 = 256;

pub(in crate::backend::cuda) struct Activate {
    swiglu: Function,
    swiglu_oai: Function,
    swiglu_fast: Function,
    swiglu_oai_fast: Function,
    gelu_erf: Function,
    gelu_tanh: Function,
    gelu_f16_table: Function,
}

impl Activate {
    pub(super) fn new(kernels: &Kernels) -> Result<Activate> {
        let find = |symbol: &str| kernels.function("activate", symbol);
        Ok(Activate {
            swiglu: find("activate_swiglu_f32")?,
            swiglu_oai: find("activate_swiglu_oai_f32")?,
            swiglu_fast: find("activate_swiglu_fast")?,
            swiglu_oai_fast: find("activate_swiglu_oai_fast")?,
            gelu_erf: find("activate_gelu_erf_f32")?,
            gelu_tanh: find("activate_gelu_tanh_f32")?,
            gelu_f16_table: find("activate_gelu_f16_table_f32")?,
        })
    }

    /// In place of `up`; in f16 also, if so wanted.
    pub(in crate::backend::cuda) fn run(
        &self,
        stream: &Stream,
        how: Activation,
        gate: Option<&Rows>,
        up: &Rows,
        rounded: Option<&Rounded>,
    ) -> Result<()> {
        if gate.is_none() && !matches!(how, Activation::Gelu(_)) {
            return Err(Error::Usage("a gated activation without a gate".into()));
        }
        // Products that are rounded have no use for a sigmoid in f64.
        let function = match (how, rounded) {
            (Activation::SwiGlu, None) => &self.swiglu,
            (Activation::SwiGlu, Some(_)) => &self.swiglu_fast,
            (Activation::SwiGluOai { .. }, None) => &self.swiglu_oai,
            (Activation::SwiGluOai { .. }, Some(_)) => &self.swiglu_oai_fast,
            (Activation::Gelu(Gelu::Erf), _) => &self.gelu_erf,
            (Activation::Gelu(Gelu::Tanh), _) => &self.gelu_tanh,
            (Activation::Gelu(Gelu::TanhF16Table), _) => &self.gelu_f16_table,
        };
        let (alpha, limit) = match how {
            Activation::SwiGluOai { alpha, limit } => (alpha, limit),
            _ => (0.0, 0.0),
        };
        let launch = function.launch().grid(up.count(), 1, 1).block(THREADS, 1);
        let launch = launch.arg(up).arg(gate).arg(small(up.width())?);
        round::into(launch, rounded)?.arg(alpha).arg(limit).on(stream)
    }
}
