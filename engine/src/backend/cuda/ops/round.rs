//! Rounds rows to f16, each times a power of two of its own.

use super::small;
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::module::{Function, Launch};
use crate::backend::cuda::rows::{Piece, Rows, Scratch};
use crate::backend::cuda::stream::Stream;
use crate::error::Result;

const THREADS: u32 = 256;
/// Rows are filled up to a multiple of this: `DEPTH` of fast.cuh.
const DEPTH: usize = 64;

/// Rows in f16.
pub(in crate::backend::cuda) struct Rounded {
    pub(super) halves: Piece,
    /// What undoes each row's power of two.
    pub(super) undo: Piece,
    /// Elements from a row to the next.
    pub(super) stride: usize,
}

impl Rounded {
    /// Room for rows that a kernel is about to fill.
    pub(in crate::backend::cuda) fn room(scratch: &Scratch, rows: &Rows) -> Result<Rounded> {
        let (count, stride) = (rows.count(), rows.width().next_multiple_of(DEPTH));
        let (halves, undo) = (scratch.piece(2 * count * stride)?, scratch.piece(4 * count)?);
        Ok(Rounded { halves, undo, stride })
    }
}

/// What kernels take that may round what they give: where to, or nowhere.
pub(super) fn into<'l>(launch: Launch<'l>, to: Option<&'l Rounded>) -> Result<Launch<'l>> {
    let launch = launch.arg(to.map(|to| &to.halves)).arg(to.map(|to| &to.undo));
    Ok(launch.arg(small(to.map_or(0, |to| to.stride))?))
}

pub(in crate::backend::cuda) struct Round(Function);

impl Round {
    pub(super) fn new(kernels: &Kernels) -> Result<Round> {
        Ok(Round(kernels.function("round", "round_f32")?))
    }

    /// The same rows, rounded the first time that somebody asks.
    pub(in crate::backend::cuda) fn of<'r>(
        &self,
        stream: &Stream,
        scratch: &Scratch,
        rows: &'r Rows,
    ) -> Result<&'r Rounded> {
        if let Some(rounded) = rows.rounded.get() {
            return Ok(rounded);
        }
        let to = Rounded::room(scratch, rows)?;
        let launch = self.0.launch().grid(rows.count(), 1, 1).block(THREADS, 1);
        let launch = launch.arg(&to.halves).arg(&to.undo).arg(rows);
        launch.arg(small(rows.width())?).arg(small(to.stride)?).on(stream)?;
        Ok(rows.rounded.get_or_init(|| to))
    }
}
