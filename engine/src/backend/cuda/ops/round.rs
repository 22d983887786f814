//! Rounds rows to f16, each times a power of two of its own.

use super::small;
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::module::Function;
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
        let (count, stride) = (rows.count(), rows.width().next_multiple_of(DEPTH));
        let (halves, undo) = (scratch.piece(2 * count * stride)?, scratch.piece(4 * count)?);
        let launch = self.0.launch().grid(count, 1, 1).block(THREADS, 1);
        let launch = launch.arg(&halves).arg(&undo).arg(rows);
        launch.arg(small(rows.width())?).arg(small(stride)?).on(stream)?;
        Ok(rows.rounded.get_or_init(|| Rounded { halves, undo, stride }))
    }
}
