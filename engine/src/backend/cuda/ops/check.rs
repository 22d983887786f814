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

    /// The first block of `data` that decodes to what no sound block stands for, and the largest
    /// magnitude of all that are finite.
    pub(in crate::backend::cuda) fn run(
        &self,
        stream: &Stream,
        data: &Buffer,
        format: &Format,
    ) -> Result<(Option<u64>, f32)> {
        let count = data.bytes() / format.block_bytes;
        let found = Buffer::new(stream.context(), Owner::Scratch, "check", 16)?;
        let mut answer = [0u8; 16];
        answer[..8].fill(0xff);
        stream.upload(&answer, &found, 0)?;
        let grid = count.div_ceil(THREADS as usize).min(BLOCKS);
        let launch = self.0.in_file(format)?.launch().grid(grid, 1, 1).block(THREADS, 1);
        launch.arg(&found).arg(found.address() + 8).arg(data).arg(count as u64).on(stream)?;
        stream.download(&found, 0, &mut answer)?;
        let words: [u64; 2] = bytemuck::cast(answer);
        let first = Some(words[0]).filter(|first| *first != u64::MAX);
        Ok((first, f32::from_bits(words[1] as u32)))
    }
}
