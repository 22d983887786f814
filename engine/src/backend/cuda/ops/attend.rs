//! Lets each row look at what is kept of its own sequence; generated rows only if they have no
//! place in `line`.

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

const THREADS: u32 = 128;
/// Elements of the largest head that the kernel has room for.
const MAX_DIM: usize = 256;

pub(in crate::backend::cuda) struct Attend {
    f32: Function,
    f16: Function,
}

impl Attend {
    pub(super) fn new(kernels: &Kernels) -> Result<Attend> {
        let find = |symbol: &str| kernels.function("attend", symbol);
        Ok(Attend { f32: find("attend_f32_kvf32")?, f16: find("attend_f32_kvf16")? })
    }

    /// Last, whether rows of a prompt are computed here, and whether generated ones are.
    #[allow(clippy::too_many_arguments)] // it is what attention depends on
    pub(in crate::backend::cuda) fn run(
        &self,
        stream: &Stream,
        (attention, sinks): (&Attention, Option<&Tensor>),
        out: &Rows,
        queries: &Rows,
        (cache, layer): (&Cache, usize),
        step: &Step,
        (prompt, generated): (bool, bool),
    ) -> Result<()> {
        let dim = attention.head_dim;
        if dim > MAX_DIM {
            let why = format!("heads of {dim} elements; there is room for {MAX_DIM}");
            return Err(Error::kernel("attend", why));
        }
        let function = match cache.precision {
            Precision::F32 => &self.f32,
            Precision::F16 => &self.f16,
        };
        let layer = &cache.layers[layer];
        // No window is a window of nothing to the kernel; a real one of nothing is refused earlier.
        let window = small(attention.window.unwrap_or(0))?;
        let launch = function.launch().grid(attention.heads, queries.count(), 1).block(THREADS, 1);
        let launch = launch.arg(out).arg(queries).arg(&layer.keys).arg(&layer.values);
        let launch = launch.arg(sinks).arg(step.rows_address());
        let launch = launch.arg(small(attention.heads)?).arg(small(attention.kv_heads)?);
        let launch = launch.arg(small(dim)?).arg(window).arg(small(layer.plan.capacity)?);
        let launch = launch.arg(u32::from(prompt)).arg(u32::from(generated));
        launch.arg(attention.scale).on(stream)
    }
}
