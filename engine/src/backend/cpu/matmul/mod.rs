//! Products of a matrix in any block format with rows of activations. Knows blocks, rows and the
//! order of sums; no layer and no model.
//!
//! The contract: an output is a function of its matrix row and its activation row and of nothing
//! else. Neither the number of rows, nor threads, nor the instructions of the machine, nor how the
//! work is cut shows in a single bit of it. So the order in which a sum is built is part of what a
//! kernel computes; it is written down once, in `exact`, and every kernel follows it. (In `fast`,
//! whole numbers are added, which have no order, and then groups of them, in theirs.)

mod arranged;
#[cfg(target_arch = "x86_64")]
mod eights;
mod exact;
mod fast;
mod groups;
mod lanes;
mod output;

pub use arranged::Arranged;
pub(super) use lanes::{Lanes, fold};
pub(super) use output::Output;

use super::pool::Pool;
use crate::quant::Format;
use arranged::EIGHT;
use groups::{Group, Groups};
use std::ops::Range;
use thiserror::Error;

/// How activations enter a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// As they are. Only what every sum of f32 rounds is rounded.
    #[default]
    Exact,
    /// Rounded to 8 bits with a scale for every 32, wherever the matrix has blocks of codes.
    Fast,
}

impl std::str::FromStr for Precision {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "exact" => Ok(Precision::Exact),
            "fast" => Ok(Precision::Fast),
            _ => Err(format!("precision '{name}' is neither 'exact' nor 'fast'")),
        }
    }
}

/// Why a product cannot be formed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs)] // the messages say it
pub enum Misfit {
    #[error("no arithmetic for {0} matrices")]
    Format(&'static str),
    #[error("{format} has blocks of {block_len}, a row has {cols}")]
    Row { format: &'static str, block_len: usize, cols: usize },
    #[error("{n_matrices} × {rows} × {cols} of {format} are {want} bytes, not {got}")]
    Bytes {
        format: &'static str,
        n_matrices: usize,
        rows: usize,
        cols: usize,
        want: usize,
        got: usize,
    },
    #[error("{what} has {got} numbers, {want} are needed")]
    Length { what: &'static str, want: usize, got: usize },
    #[error("matrix {matrix} of {n_matrices}")]
    Matrix { matrix: usize, n_matrices: usize },
    #[error("activation row {row} of {n_rows}")]
    Activation { row: usize, n_rows: usize },
}

/// One matrix, or several of one shape, where they lie: `[n_matrices, rows, cols]` in blocks
/// along the columns, as a GGUF file stores them. Nothing is copied.
#[derive(Debug, Clone, Copy)]
pub struct Matrices<'m> {
    format: &'static Format,
    n_matrices: usize,
    rows: usize,
    cols: usize,
    row_bytes: usize,
    bytes: &'m [u8],
    /// Whether eight rows each lie together, and the last of them are filled up; see `arranged`.
    eights: bool,
}

impl<'m> Matrices<'m> {
    /// `rows` is the number of outputs, `cols` of inputs.
    pub fn new(
        format: &'static Format,
        n_matrices: usize,
        rows: usize,
        cols: usize,
        bytes: &'m [u8],
    ) -> Result<Self, Misfit> {
        if format.scalar.is_none() {
            return Err(Misfit::Format(format.name));
        }
        if !cols.is_multiple_of(format.block_len) {
            return Err(Misfit::Row { format: format.name, block_len: format.block_len, cols });
        }
        let row_bytes = (cols / format.block_len).saturating_mul(format.block_bytes);
        let want = n_matrices.saturating_mul(rows).saturating_mul(row_bytes);
        if want != bytes.len() {
            let (format, got) = (format.name, bytes.len());
            return Err(Misfit::Bytes { format, n_matrices, rows, cols, want, got });
        }
        Ok(Matrices { format, n_matrices, rows, cols, row_bytes, bytes, eights: false })
    }

    /// Outputs of one matrix.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Some rows of a single matrix, if it has them and they lie so that they can be read alone.
    pub(super) fn some(self, rows: Range<usize>) -> Option<Self> {
        let eight = if self.eights { EIGHT } else { 1 };
        let last = rows.end.next_multiple_of(eight);
        let bytes = self.bytes.get(rows.start * self.row_bytes..last * self.row_bytes)?;
        if self.n_matrices != 1 || !rows.start.is_multiple_of(eight) {
            return None;
        }
        Some(Matrices { rows: rows.len(), bytes, ..self })
    }

    /// The blocks of one row, where rows lie one after the other.
    fn row(&self, matrix: usize, row: usize) -> &'m [u8] {
        debug_assert!(!self.eights);
        &self.bytes[(matrix * self.rows + row) * self.row_bytes..][..self.row_bytes]
    }

    /// The blocks of eight rows from `first` on, where they lie together.
    fn eight(&self, matrix: usize, first: usize) -> &'m [u8] {
        debug_assert!(self.eights && first.is_multiple_of(EIGHT));
        let rows = self.rows.next_multiple_of(EIGHT);
        let bytes = EIGHT * self.row_bytes;
        &self.bytes[(matrix * rows + first) * self.row_bytes..][..bytes]
    }
}

/// One wanted row of outputs: an activation row times a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Which row of the activations.
    pub row: u32,
    /// Which matrix.
    pub matrix: u32,
}

/// `out[i] = W·x[i]`: x is `[n, cols]`, out is `[n, rows]`, w is a single matrix.
pub fn matmul(
    pool: &Pool,
    precision: Precision,
    w: &Matrices,
    x: &[f32],
    out: &mut [f32],
) -> Result<(), Misfit> {
    matmuls(pool, precision, x, vec![(*w, out)])
}

/// The same of several single matrices, in one dispatch: their products take less than waking a
/// thread and waiting for its last piece costs, if there are few rows.
pub fn matmuls(
    pool: &Pool,
    precision: Precision,
    x: &[f32],
    products: Vec<(Matrices, &mut [f32])>,
) -> Result<(), Misfit> {
    let cols = products.first().map_or(0, |(w, _)| w.cols);
    let n = x.len() / cols.max(1);
    fits("x", n * cols, x.len())?;
    let groups = Groups::all(n);
    let (ws, outs): (Vec<Matrices>, Vec<&mut [f32]>) = products.into_iter().unzip();
    for (w, out) in ws.iter().zip(&outs) {
        fits("x", n * w.cols, x.len())?;
        fits("out", n * w.rows, out.len())?;
    }
    let outs: Vec<Output> = outs.into_iter().map(Output::new).collect();
    let jobs = ws.iter().zip(&outs).map(|(w, out)| job(pool, precision, w, x, n, &groups, out));
    run(pool, jobs.collect::<Result<_, _>>()?);
    Ok(())
}

/// `out[p] = W[pairs[p].matrix]·x[pairs[p].row]`: x is `[any, cols]`, out is
/// `[pairs.len(), rows]`. Each matrix is read once, whatever the order of the pairs.
pub fn matmul_pairs(
    pool: &Pool,
    precision: Precision,
    w: &Matrices,
    x: &[f32],
    pairs: &[Pair],
    out: &mut [f32],
) -> Result<(), Misfit> {
    let n = x.len() / w.cols.max(1);
    fits("x", n * w.cols, x.len())?;
    fits("out", pairs.len() * w.rows, out.len())?;
    for pair in pairs {
        if pair.row as usize >= n {
            return Err(Misfit::Activation { row: pair.row as usize, n_rows: n });
        }
        if pair.matrix as usize >= w.n_matrices {
            let (matrix, n_matrices) = (pair.matrix as usize, w.n_matrices);
            return Err(Misfit::Matrix { matrix, n_matrices });
        }
    }
    let (groups, out) = (Groups::of(pairs, w.n_matrices), Output::new(out));
    run(pool, vec![job(pool, precision, w, x, n, &groups, &out)?]);
    Ok(())
}

/// Products of fewer numbers than this are done before another thread is awake.
const WORTH_A_THREAD: usize = 1 << 15;

/// Calls `work` for every item, on all threads if there are `numbers` enough to multiply.
fn spread(pool: &Pool, numbers: usize, n_items: usize, work: &(dyn Fn(usize) + Sync)) {
    if numbers < WORTH_A_THREAD { (0..n_items).for_each(work) } else { pool.each(n_items, work) }
}

/// Products in pieces that threads share out.
struct Job<'j> {
    n_items: usize,
    /// What is to be multiplied in all.
    numbers: usize,
    item: Box<dyn Fn(usize) + Sync + 'j>,
}

impl<'j> Job<'j> {
    /// `item` is called for every group and up to `n_rows` matrix rows, as their first and the one
    /// behind their last.
    fn of_rows(
        w: &'j Matrices,
        groups: &'j Groups,
        n_rows: usize,
        item: impl Fn(&Group, usize, usize) + Sync + 'j,
    ) -> Self {
        let items = w.rows.div_ceil(n_rows);
        let n_outputs = groups.0.iter().map(|group| group.rows.len()).sum::<usize>() * w.rows;
        let item = move |at: usize| {
            let first = at % items * n_rows;
            item(&groups.0[at / items], first, w.rows.min(first + n_rows));
        };
        Job { n_items: groups.0.len() * items, numbers: n_outputs * w.cols, item: Box::new(item) }
    }
}

/// All items of all jobs, in order, on all threads if that is worth it.
fn run(pool: &Pool, jobs: Vec<Job>) {
    let sum = |of: fn(&Job) -> usize| jobs.iter().map(of).sum();
    spread(pool, sum(|job| job.numbers), sum(|job| job.n_items), &|mut item| {
        for job in &jobs {
            if item < job.n_items {
                return (job.item)(item);
            }
            item -= job.n_items;
        }
    });
}

/// Matrix rows that a thread takes at a time where they are read rather than computed with: many,
/// because it asks for memory ahead of its reading; and several times as many as there are threads,
/// so that all end together.
fn rows_to_read(pool: &Pool, rows: usize) -> usize {
    (rows / (8 * pool.n_threads())).next_multiple_of(32).clamp(32, 256)
}

/// The products as they are to be formed for a matrix of this format.
fn job<'j>(
    pool: &Pool,
    precision: Precision,
    w: &'j Matrices,
    x: &'j [f32],
    n: usize,
    groups: &'j Groups,
    out: &'j Output,
) -> Result<Job<'j>, Misfit> {
    let rounded = match precision {
        Precision::Exact => None,
        Precision::Fast => fast::job(pool, w, x, n, groups, out),
    };
    match rounded {
        Some(job) => Ok(job),
        None => exact::job(pool, w, x, n, groups, out),
    }
}

fn fits(what: &'static str, want: usize, got: usize) -> Result<(), Misfit> {
    if want == got { Ok(()) } else { Err(Misfit::Length { what, want, got }) }
}
