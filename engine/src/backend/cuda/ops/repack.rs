//! Brings matrices into the layouts of the decode kernels.

use super::small;
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::layout::{Layout, woven_unit};
use crate::backend::cuda::memory::{Buffer, Owner};
use crate::backend::cuda::module::{Function, Launch};
use crate::backend::cuda::stream::Stream;
use crate::backend::cuda::tensor::Tensor;
use crate::error::{Error, Result};
use std::sync::Arc;

const THREADS: u32 = 256;
/// Enough blocks to keep any device busy; each goes on in steps of all of them.
const BLOCKS: usize = 1056;
/// What goes elsewhere and back at a time where a matrix is packed in place.
const PART_BYTES: usize = 32 << 20;
/// What all items begin at a multiple of, turned ones too.
const ALIGNED_ROWS: usize = 64;

pub(in crate::backend::cuda) struct Repack {
    items: Function,
    woven: Function,
    pairs: Function,
    units: Function,
}

impl Repack {
    pub(super) fn new(kernels: &Kernels) -> Result<Repack> {
        let find = |symbol: &str| kernels.function("repack", symbol);
        Ok(Repack {
            items: find("repack_q8_0_items")?,
            woven: find("repack_woven")?,
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
        from.iter().try_for_each(|from| fits(from, layout))?;
        let to = room(stream, from.iter().map(|from| from.bytes()).sum())?;
        let mut at = 0;
        for from in from {
            self.rows(stream, (from, 0, from.rows), to.address() + at, layout)?;
            at += from.bytes() as u64;
        }
        let mut at = 0;
        Ok(from.map(|from| {
            let packed = from.moved(&to, at, layout);
            at += from.bytes() as u64;
            packed
        }))
    }

    /// The same matrix in items or woven, where it was: both take rows that follow one another
    /// together, so a part of them at a time goes elsewhere and back. What is large is not there
    /// twice.
    pub(in crate::backend::cuda) fn in_place(
        &self,
        stream: &Stream,
        from: &Tensor,
        layout: Layout,
    ) -> Result<Tensor> {
        fits(from, layout)?;
        let row_bytes = from.bytes() / from.rows;
        let rows_at_once = (PART_BYTES / row_bytes).next_multiple_of(ALIGNED_ROWS);
        let part = room(stream, rows_at_once.min(from.rows) * row_bytes)?;
        for first in (0..from.rows).step_by(rows_at_once) {
            let count = rows_at_once.min(from.rows - first);
            self.rows(stream, (from, first, count), part.address(), layout)?;
            let at = (from.address() - from.buffer().address()) as usize + first * row_bytes;
            stream.copy(&part, 0, from.buffer(), at, count * row_bytes)?;
        }
        Ok(from.in_place(layout))
    }

    /// Queues the packing of `count` rows from row `first` on.
    fn rows(
        &self,
        stream: &Stream,
        (from, first, count): (&Tensor, usize, usize),
        to: u64,
        layout: Layout,
    ) -> Result<()> {
        let row_bytes = from.bytes() / from.rows;
        let address = from.address() + (first * row_bytes) as u64;
        let begin = |function| begin(function).arg(address).arg(to);
        match layout {
            Layout::Items { rows, steps, turned } => {
                let launch = begin(&self.items).arg(small(count)?).arg(small(from.width)?);
                launch.arg(small(rows)?).arg(small(steps)?).arg(u32::from(turned)).on(stream)
            }
            Layout::Woven { .. } => {
                let launch = begin(&self.woven).arg(small(count)?).arg(small(row_bytes)?);
                launch.arg(small(woven_unit(from.format).1)?).on(stream)
            }
            _ => Err(refused(layout)),
        }
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
