//! Finds stored numbers that are none.

use super::ByFormat;
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::memory::{Buffer, Owner};
use crate::backend::cuda::stream::Stream;
use crate::error::Result;
use crate::quant::Format;

const THREADS: u32 = 256;
/// More blocks than any device runs at once; each goes on in steps of all of them.
const BLOCKS: usize = 4096;

pub(in crate::backend::cuda) struct Check(ByFormat);

impl Check {
    pub(super) fn new(kernels: &Kernels) -> Result<Check> {
        Ok(Check(ByFormat::new(kernels, "check", "check")?))
    }

    /// The first block of `data` that decodes to what no sound block stands for.
    pub(in crate::backend::cuda) fn first_bad_block(
        &self,
        stream: &Stream,
        data: &Buffer,
        format: &Format,
    ) -> Result<Option<u64>> {
        let count = data.bytes() / format.block_bytes;
        let found = Buffer::new(stream.context(), Owner::Scratch, "check", 8)?;
        stream.fill(&found, 0xff)?;
        let grid = count.div_ceil(THREADS as usize).min(BLOCKS);
        let launch = self.0.of(format)?.launch().grid(grid, 1, 1).block(THREADS, 1);
        launch.arg(&found).arg(data).arg(count as u64).on(stream)?;
        let mut first = [0u8; 8];
        stream.download(&found, 0, &mut first)?;
        let first = u64::from_le_bytes(first);
        Ok(Some(first).filter(|first| *first != u64::MAX))
    }
}
