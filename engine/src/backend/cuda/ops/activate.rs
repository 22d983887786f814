//! The functions between the projections of a feed-forward network.

use super::blocks;
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

    pub(in crate::backend::cuda) fn run(
        &self,
        stream: &Stream,
        how: Activation,
        out: &Rows,
        gate: Option<&Rows>,
        up: &Rows,
        fast: bool,
    ) -> Result<()> {
        let count = up.elements();
        let grid = blocks(count, THREADS);
        let gated = |function: &Function| -> Result<()> {
            let missing = || Error::Usage("a gated activation without a gate".into());
            let gate = gate.ok_or_else(missing)?;
            let launch = function.launch().grid(grid, 1, 1).block(THREADS, 1);
            let launch = launch.arg(out).arg(gate).arg(up).arg(count as u64);
            match how {
                Activation::SwiGluOai { alpha, limit } => launch.arg(alpha).arg(limit).on(stream),
                _ => launch.on(stream),
            }
        };
        let alone = |function: &Function| {
            let launch = function.launch().grid(grid, 1, 1).block(THREADS, 1);
            launch.arg(out).arg(up).arg(count as u64).on(stream)
        };
        match how {
            Activation::SwiGlu if fast => gated(&self.swiglu_fast),
            Activation::SwiGluOai { .. } if fast => gated(&self.swiglu_oai_fast),
            Activation::SwiGlu => gated(&self.swiglu),
            Activation::SwiGluOai { .. } => gated(&self.swiglu_oai),
            Activation::Gelu(Gelu::Erf) => alone(&self.gelu_erf),
            Activation::Gelu(Gelu::Tanh) => alone(&self.gelu_tanh),
            Activation::Gelu(Gelu::TanhF16Table) => alone(&self.gelu_f16_table),
        }
    }
}
