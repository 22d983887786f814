//! Brings matrices into the layouts of the decode kernels.

use super::small;
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::layout::Layout;
use crate::backend::cuda::memory::{Buffer, Owner};
use crate::backend::cuda::module::{Function, Launch};
use crate::backend::cuda::stream::Stream;
use crate::backend::cuda::tensor::Tensor;
use crate::error::{Error, Result};
use std::sync::Arc;

const THREADS: u32 = 256;
/// Enough blocks to keep any device busy; each goes on in steps of all of them.
const BLOCKS: usize = 1056;

pub(in crate::backend::cuda) struct Repack {
    items: Function,
    pairs: Function,
    units: Function,
}

impl Repack {
    pub(super) fn new(kernels: &Kernels) -> Result<Repack> {
        let find = |symbol: &str| kernels.function("repack", symbol);
        Ok(Repack {
            items: find("repack_q8_0_items")?,
            pairs: find("repack_mxfp4_pairs")?,
            units: find("repack_mxfp4_units")?,
        })
    }

    /// The same matrices in items, one behind the other in memory.
    pub(in crate::backend::cuda) fn items<const N: usize>(
        &self,
        stream: &Stream,
        from: [&Tensor; N],
        layout: Layout,
    ) -> Result<[Tensor; N]> {
        let Layout::Items { rows, steps, turned } = layout else { return Err(refused(layout)) };
        from.iter().try_for_each(|from| fits(from, layout))?;
        let bytes = from.iter().map(|from| from.bytes()).sum();
        let to = room(stream, bytes)?;
        let mut at = 0;
        for from in from {
            let launch = begin(&self.items).arg(from).arg(to.address() + at);
            let launch = launch.arg(small(from.rows)?).arg(small(from.width)?);
            let launch = launch.arg(small(rows)?).arg(small(steps)?).arg(u32::from(turned));
            launch.on(stream)?;
            at += from.bytes() as u64;
        }
        let mut at = 0;
        Ok(from.map(|from| {
            let packed = from.moved(&to, at, layout);
            at += from.bytes() as u64;
            packed
        }))
    }

    /// The same gate and up, interleaved.
    pub(in crate::backend::cuda) fn pairs(
        &self,
        stream: &Stream,
        gate: &Tensor,
        up: &Tensor,
    ) -> Result<[Tensor; 2]> {
        let layouts = [false, true].map(|up| Layout::Pairs { up });
        fits(gate, layouts[0])?;
        fits(up, layouts[1])?;
        if (gate.rows, gate.width, gate.rows_per_expert) != (up.rows, up.width, up.rows_per_expert)
        {
            return Err(Error::Usage("gate and up of different shapes".into()));
        }
        let to = room(stream, gate.bytes() + up.bytes())?;
        let launch = begin(&self.pairs).arg(gate).arg(up).arg(&*to);
        launch.arg(small(gate.rows)?).arg(small(gate.width)?).on(stream)?;
        Ok([gate.moved(&to, 0, layouts[0]), up.moved(&to, 0, layouts[1])])
    }

    /// The same matrices in units.
    pub(in crate::backend::cuda) fn units(
        &self,
        stream: &Stream,
        from: &Tensor,
        layout: Layout,
    ) -> Result<Tensor> {
        let Layout::Units { steps, outputs } = layout else { return Err(refused(layout)) };
        fits(from, layout)?;
        let to = room(stream, from.bytes())?;
        let launch = begin(&self.units).arg(from).arg(&*to).arg(small(from.rows / outputs)?);
        let launch = launch.arg(small(outputs)?).arg(small(from.width)?);
        launch.arg(small(steps)?).on(stream)?;
        Ok(from.moved(&to, 0, layout))
    }
}

fn begin(function: &Function) -> Launch<'_> {
    function.launch().grid(BLOCKS, 1, 1).block(THREADS, 1)
}

fn room(stream: &Stream, bytes: usize) -> Result<Arc<Buffer>> {
    Buffer::new(stream.context(), Owner::Weights, "packed weights", bytes).map(Arc::new)
}

fn fits(from: &Tensor, layout: Layout) -> Result<()> {
    match from.layout == Layout::File && layout.fits(from.format, from.width, from.rows_per_expert)
    {
        true => Ok(()),
        false => {
            let (name, rows, width) = (from.format.name, from.rows_per_expert, from.width);
            let why = format!("{rows} rows of {width} {name}, {:?}, as {layout:?}", from.layout);
            Err(Error::kernel("repack", why))
        }
    }
}

fn refused(layout: Layout) -> Error {
    Error::kernel("repack", format!("to {layout:?} in another way"))
}
