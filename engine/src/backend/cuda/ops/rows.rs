//! Copies parts of rows, and some rows of many.

use super::{blocks, small};
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::module::Function;
use crate::backend::cuda::rows::Rows;
use crate::backend::cuda::step::Step;
use crate::backend::cuda::stream::Stream;
use crate::error::{Error, Result};

const THREADS: u32 = 128;

/// Places that are copied in one launch.
const PLACES: usize = 3;

/// Words from one address to another.
pub(in crate::backend::cuda) struct Moved {
    pub(in crate::backend::cuda) to: u64,
    pub(in crate::backend::cuda) from: u64,
    pub(in crate::backend::cuda) words: usize,
}

pub(in crate::backend::cuda) struct Copies {
    slice: Function,
    wanted: Function,
    bring: Function,
}

impl Copies {
    pub(super) fn new(kernels: &Kernels) -> Result<Copies> {
        let find = |symbol: &str| kernels.function("rows", symbol);
        let (slice, wanted) = (find("slice_f32")?, find("wanted_f32")?);
        Ok(Copies { slice, wanted, bring: find("bring_u32")? })
    }

    /// Elements from `start` on of each row, as many as `out` is wide.
    pub(in crate::backend::cuda) fn slice(
        &self,
        stream: &Stream,
        out: &Rows,
        x: &Rows,
        start: usize,
    ) -> Result<()> {
        let width = out.width();
        if start + width > x.width() {
            let detail = format!("elements {start}..{} of rows of {}", start + width, x.width());
            return Err(Error::Usage(detail));
        }
        let launch = self.slice.launch().grid(blocks(width, THREADS), x.count(), 1);
        let launch = launch.block(THREADS, 1).arg(out).arg(x).arg(small(start)?);
        launch.arg(small(width)?).arg(small(x.width())?).on(stream)
    }

    /// A few words each from one address to another.
    pub(in crate::backend::cuda) fn bring(&self, stream: &Stream, pieces: &[Moved]) -> Result<()> {
        for pieces in pieces.chunks(PLACES) {
            let mut launch = self.bring.launch().grid(pieces.len(), 1, 1).block(THREADS, 1);
            let none = Moved { to: 0, from: 0, words: 0 };
            for piece in pieces.iter().chain([&none; PLACES]).take(PLACES) {
                launch = launch.arg(piece.to).arg(piece.from).arg(small(piece.words)?);
            }
            launch.on(stream)?;
        }
        Ok(())
    }

    /// The rows that want logits.
    pub(in crate::backend::cuda) fn wanted(
        &self,
        stream: &Stream,
        out: &Rows,
        x: &Rows,
        step: &Step,
    ) -> Result<()> {
        let width = out.width();
        let launch = self.wanted.launch().grid(blocks(width, THREADS), out.count(), 1);
        let launch = launch.block(THREADS, 1).arg(out).arg(x);
        launch.arg(step.wanted_address()).arg(small(width)?).on(stream)
    }
}
