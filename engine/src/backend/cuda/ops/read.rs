//! Reads memory and does nothing else, to know how fast that is.

use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::memory::{Buffer, Owner};
use crate::backend::cuda::stream::{Event, Stream};
use crate::error::Result;

/// Far more than any cache of a device holds.
const BYTES: usize = 1 << 30;
const THREADS: u32 = 256;
/// A few waves of blocks on the largest devices.
const BLOCKS: usize = 2048;

/// Bytes per second that a kernel which only reads gets: the best of a few runs.
pub(in crate::backend::cuda) fn read_speed(kernels: &Kernels, stream: &Stream) -> Result<f64> {
    let function = kernels.function("read", "read_u32x4")?;
    let data = Buffer::new(stream.context(), Owner::Scratch, "bytes to read", BYTES)?;
    let never = Buffer::new(stream.context(), Owner::Scratch, "sum", 4)?;
    stream.fill(&data, 0)?;
    let mut best = f64::INFINITY;
    for _ in 0..8 {
        let start = Event::record(stream)?;
        let launch = function.launch().grid(BLOCKS, 1, 1).block(THREADS, 1);
        launch.arg(&never).arg(&data).arg(BYTES as u64 / 16).on(stream)?;
        best = best.min(Event::record(stream)?.ms_since(&start)?);
    }
    Ok(BYTES as f64 / best * 1e3)
}
