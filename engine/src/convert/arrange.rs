//! Moves the elements of a tensor without changing one: rows picked or reordered, matrices turned.
//! Knows bytes and shapes (slowest dimension first); no name and no format but its sizes.

use crate::quant::Format;
use std::borrow::Cow;

/// A tensor's bytes, ready to be converted or written.
#[derive(Debug)]
pub struct Arranged<'a> {
    /// What the bytes are.
    pub format: &'static Format,
    /// Row after row.
    pub data: Cow<'a, [u8]>,
}

/// How a tensor of the source becomes one of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// As it is.
    Whole,
    /// Every other row of each matrix, from this one: gate and up lie interleaved.
    EveryOther(usize),
    /// Every other element of each row, from this one: the same of biases.
    Elements(usize),
    /// Each matrix turned: rows become columns.
    Turned,
    /// Each matrix turned, then every other row, from this one.
    TurnedEveryOther(usize),
    /// Rows of so many heads: each head's halves, which rotate against each other, interleaved.
    Heads(usize),
}

impl How {
    /// The shape of the result.
    pub(super) fn shape(self, from: &[u64]) -> Vec<u64> {
        let mut shape = from.to_vec();
        let n = shape.len();
        if matches!(self, How::Turned | How::TurnedEveryOther(_)) && n >= 2 {
            shape.swap(n - 2, n - 1);
        }
        match self {
            How::EveryOther(_) | How::TurnedEveryOther(_) if n >= 2 => shape[n - 2] /= 2,
            How::Elements(_) if n >= 1 => shape[n - 1] /= 2,
            _ => {}
        }
        shape
    }

    /// The same for a source whose matrices are turned already, as those of MXFP4 codes are.
    pub(super) fn turned_already(self) -> How {
        match self {
            How::Turned => How::Whole,
            How::TurnedEveryOther(first) => How::EveryOther(first),
            other => other,
        }
    }

    /// Does it. A vector counts as a matrix of one column.
    pub(super) fn apply<'a>(
        self,
        data: Cow<'a, [u8]>,
        shape: &[u64],
        format: &Format,
    ) -> Cow<'a, [u8]> {
        let (rows, columns) = match shape[..] {
            [] => return data,
            [rows] => (rows as usize, 1),
            [.., rows, columns] => (rows as usize, columns as usize),
        };
        let bytes = columns / format.block_len * format.block_bytes;
        match self {
            How::Whole => data,
            How::EveryOther(first) => every_other(&data, rows, bytes, first).into(),
            How::Elements(first) => every_other(&data, columns, format.block_bytes, first).into(),
            How::Heads(heads) => interleaved(&data, rows / heads, bytes).into(),
            How::Turned => turned(&data, rows, columns, format.block_bytes).into(),
            How::TurnedEveryOther(first) => {
                let turned = turned(&data, rows, columns, format.block_bytes);
                every_other(&turned, columns, rows * format.block_bytes, first).into()
            }
        }
    }
}

fn every_other(data: &[u8], rows: usize, bytes: usize, first: usize) -> Vec<u8> {
    let matrices = data.chunks_exact(rows * bytes);
    let picked = matrices.flat_map(|matrix| matrix.chunks_exact(bytes).skip(first).step_by(2));
    picked.flatten().copied().collect()
}

/// Rows 0, n/2, 1, n/2 + 1, … of each head of n rows.
fn interleaved(data: &[u8], rows: usize, bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    for head in data.chunks_exact(rows * bytes) {
        let (low, high) = head.split_at(rows / 2 * bytes);
        for (low, high) in low.chunks_exact(bytes).zip(high.chunks_exact(bytes)) {
            out.extend_from_slice(low);
            out.extend_from_slice(high);
        }
    }
    out
}

fn turned(data: &[u8], rows: usize, columns: usize, bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    for matrix in data.chunks_exact(rows * columns * bytes) {
        for column in 0..columns {
            for row in 0..rows {
                let at = (row * columns + column) * bytes;
                out.extend_from_slice(&matrix[at..at + bytes]);
            }
        }
    }
    out
}
