//! Lets rows of a prompt look at what is kept of their sequence, on tensor cores.

use super::small;
use crate::adapters::Attention;
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::kv::Cache;
use crate::backend::cuda::module::Function;
use crate::backend::cuda::rows::Rows;
use crate::backend::cuda::step::Step;
use crate::backend::cuda::stream::Stream;
use crate::backend::cuda::tensor::Tensor;
use crate::error::{Error, Result};
use crate::kv::Precision;

const THREADS: u32 = 256;
/// Pairs of a row and a head that a block takes, and positions that it looks at together.
const PAIRS: usize = 128;
const TILE: usize = 64;
/// Elements of a head that there is a kernel for.
const DIMS: [usize; 4] = [32, 64, 96, 128];

pub(in crate::backend::cuda) struct AttendFast {
    /// For each of `DIMS`, for a past in f32 and in f16.
    functions: Vec<[Function; 2]>,
}

fn shared(dim: usize) -> u32 {
    // Keys and values, lines of which end 16 and 4 elements further.
    (4 * TILE * (2 * dim + 20)) as u32
}

impl AttendFast {
    pub(super) fn new(kernels: &Kernels) -> Result<AttendFast> {
        let find = |dim: usize, kv: &str| -> Result<Function> {
            let function = kernels.function("attend_fast", &format!("attend_fast_{dim}_{kv}"))?;
            function.allow_shared(shared(dim))?;
            Ok(function)
        };
        let both = |dim| Ok([find(dim, "kvf32")?, find(dim, "kvf16")?]);
        Ok(AttendFast { functions: DIMS.into_iter().map(both).collect::<Result<_>>()? })
    }

    /// Whether there is a kernel for it.
    pub(in crate::backend::cuda) fn fits(&self, attention: &Attention) -> bool {
        DIMS.contains(&attention.head_dim) && attention.heads <= PAIRS * attention.kv_heads
    }

    pub(in crate::backend::cuda) fn run(
        &self,
        stream: &Stream,
        (attention, sinks): (&Attention, Option<&Tensor>),
        out: &Rows,
        queries: &Rows,
        (cache, layer): (&Cache, usize),
        step: &Step,
    ) -> Result<()> {
        let Attention { heads, kv_heads, head_dim, .. } = *attention;
        let at = DIMS.iter().position(|dim| *dim == head_dim);
        let functions = at.and_then(|at| self.functions.get(at));
        let why = || Error::kernel("attend_fast", format!("not for heads of {head_dim}"));
        let [f32, f16] = functions.ok_or_else(why)?;
        let function = match cache.precision {
            Precision::F32 => f32,
            Precision::F16 => f16,
        };
        let layer = &cache.layers[layer];
        let each = PAIRS / (heads / kv_heads);
        let tiles = step.runs.iter().map(|(_, count)| count.div_ceil(each)).sum();
        let launch = function.launch().grid(tiles, kv_heads, 1).block(THREADS, 1);
        let launch = launch.shared(shared(head_dim)).arg(out).arg(queries);
        let launch = launch.arg(&layer.keys).arg(&layer.values).arg(sinks);
        let launch = launch.arg(step.rows_address()).arg(step.runs_address());
        let launch = launch.arg(small(step.runs.len())?).arg(small(heads)?);
        let launch = launch.arg(small(kv_heads)?).arg(small(attention.window.unwrap_or(0))?);
        launch.arg(small(layer.plan.capacity)?).arg(attention.scale).on(stream)
    }
}
