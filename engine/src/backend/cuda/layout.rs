//! How the blocks of a matrix lie in memory. Values and byte count are the file's in each layout,
//! so every verb reads them; the decode kernels want theirs in the order in which they ask.

use super::backend::Cuda;
use super::tensor::Tensor;
use crate::error::Result;
use crate::quant::Format;

/// An order of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Row by row, as in the file.
    File,
    /// Eight rows together, unit by unit; see [`woven_unit`].
    Woven {
        /// Rows in all; the last ones may be fewer than eight.
        rows: usize,
    },
    /// Q8_0 in items of `rows` rows, in 16 / `rows` parts of `steps` blocks each a warp.
    Items {
        /// 4 or 8.
        rows: usize,
        /// Blocks that follow one another in a part.
        steps: usize,
        /// Whether an item takes four pairs of a rotation of 64 elements.
        turned: bool,
    },
    /// MXFP4 of gate and up, eight rows of each in an item.
    Pairs {
        /// Which of both.
        up: bool,
    },
    /// MXFP4 in units of four rows, an expert's scales behind its codes.
    Units {
        /// Pairs of blocks that a warp takes after one another.
        steps: usize,
        /// Rows of an expert.
        outputs: usize,
    },
}

/// The packed layouts that kernels read: the format, and what their symbols say.
pub(super) const PACKED: [&str; 3] = ["q8_0_items", "mxfp4_pairs", "mxfp4_units"];

/// Elements and bytes of a unit of a woven row: what is asked for at a time, as large as the
/// rings' stages allow.
pub(super) fn woven_unit(format: &Format) -> (usize, usize) {
    let elements = if format.block_len == 1 { 64 } else { format.block_len.max(128) };
    (elements, elements / format.block_len * format.block_bytes)
}

impl Layout {
    /// Which of [`PACKED`] it is.
    pub(super) fn packed(self) -> Option<usize> {
        match self {
            Layout::File | Layout::Woven { .. } => None,
            Layout::Items { .. } => Some(0),
            Layout::Pairs { .. } => Some(1),
            Layout::Units { .. } => Some(2),
        }
    }

    /// What a kernel is told of it; see packed.cuh.
    pub(super) fn bits(self) -> u64 {
        match self {
            Layout::File => 0,
            Layout::Woven { rows } => 1 | (rows as u64) << 32,
            Layout::Items { rows, steps, turned } => {
                rows as u64 | (steps as u64) << 8 | u64::from(turned) << 32
            }
            Layout::Pairs { up } => u64::from(up),
            Layout::Units { steps, outputs } => steps as u64 | (outputs as u64) << 32,
        }
    }

    /// Whether a matrix of `format` with rows of `width`, `rows` of them an expert, can lie so.
    pub(super) fn fits(self, format: &Format, width: usize, rows: usize) -> bool {
        match self {
            Layout::File => true,
            Layout::Woven { rows: all } => all == rows && width.is_multiple_of(format.block_len),
            Layout::Items { rows: item, steps, turned } => {
                let whole = if turned { 64 } else { item };
                format.name == "Q8_0"
                    && matches!((item, turned), (4, false) | (8, _))
                    && steps > 0
                    && rows.is_multiple_of(whole)
                    && width.is_multiple_of(32 * steps * 16 / item)
            }
            Layout::Pairs { .. } => {
                format.name == "MXFP4" && rows.is_multiple_of(8) && width.is_multiple_of(64)
            }
            Layout::Units { steps, outputs } => {
                format.name == "MXFP4"
                    && outputs == rows
                    && rows.is_multiple_of(4)
                    && steps > 0
                    && width.is_multiple_of(64 * steps)
                    // Words of codes start on words.
                    && (rows * (width / 32)).is_multiple_of(4)
            }
        }
    }
}

/// Single matrices in the layouts that whole models are brought into.
impl Cuda {
    /// The same matrix in items, as the decode kernels read it.
    pub fn in_items(&self, matrix: &Tensor, layout: Layout) -> Result<Tensor> {
        let [packed] = self.ops.repack.items(&self.stream, [matrix], layout)?;
        Ok(packed)
    }

    /// The same, in the matrix's own memory: what was there before is gone.
    pub fn in_items_in_place(&self, matrix: &Tensor, layout: Layout) -> Result<Tensor> {
        self.ops.repack.in_place(&self.stream, matrix, layout)
    }

    /// The same matrix, woven.
    pub fn woven(&self, matrix: &Tensor) -> Result<Tensor> {
        self.ops.repack.in_place(&self.stream, matrix, Layout::Woven { rows: matrix.rows })
    }

    /// The same gate and up, interleaved.
    pub fn in_pairs(&self, gate: &Tensor, up: &Tensor) -> Result<[Tensor; 2]> {
        self.ops.repack.pairs(&self.stream, gate, up)
    }

    /// The same matrix of experts in units.
    pub fn in_units(&self, matrix: &Tensor, layout: Layout) -> Result<Tensor> {
        self.ops.repack.units(&self.stream, matrix, layout)
    }
}
