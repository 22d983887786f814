//! Keeps keys and values.

use super::{blocks, small};
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::kv::Cache;
use crate::backend::cuda::module::Function;
use crate::backend::cuda::rows::Rows;
use crate::backend::cuda::step::Step;
use crate::backend::cuda::stream::Stream;
use crate::error::Result;
use crate::kv::Precision;

const THREADS: u32 = 128;

pub(in crate::backend::cuda) struct Store {
    f32: Function,
    f16: Function,
}

impl Store {
    pub(super) fn new(kernels: &Kernels) -> Result<Store> {
        let find = |symbol: &str| kernels.function("store", symbol);
        Ok(Store { f32: find("store_kvf32")?, f16: find("store_kvf16")? })
    }

    pub(in crate::backend::cuda) fn run(
        &self,
        stream: &Stream,
        (cache, layer): (&Cache, usize),
        keys: &Rows,
        values: &Rows,
        step: &Step,
    ) -> Result<()> {
        let function = match cache.precision {
            Precision::F32 => &self.f32,
            Precision::F16 => &self.f16,
        };
        let (layer, width) = (&cache.layers[layer], keys.width());
        let launch = function.launch().grid(blocks(width, THREADS), keys.count(), 1);
        let launch = launch.block(THREADS, 1).arg(&layer.keys).arg(&layer.values);
        let launch = launch.arg(keys).arg(values).arg(step.rows_address());
        launch.arg(small(width)?).arg(small(layer.plan.capacity)?).on(stream)
    }
}
