//! Brings parts of matrices of any format into the registers' order of the 16-bit products: as much
//! at a time as stays in the device's cache.

use super::{ByFormat, small};
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::layout::Layout;
use crate::backend::cuda::rows::{Piece, Scratch};
use crate::backend::cuda::stream::Stream;
use crate::backend::cuda::tensor::Tensor;
use crate::error::Result;

const THREADS: u32 = 256;
const BLOCKS: usize = 1056;
/// Bytes of a part.
const PART_BYTES: usize = 32 << 20;
/// Outputs of a block, and of a tile of sixteen registers' rows.
const OUTPUTS: usize = 256;
const TILE: usize = 16;

pub(in crate::backend::cuda) struct Spread(ByFormat);

/// Some outputs of a matrix, or of each expert's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) first: usize,
    pub(super) outputs: usize,
    pub(super) all: usize,
    pub(super) experts: usize,
}

impl Part {
    /// All of a matrix, in parts.
    pub(super) fn of(weight: &Tensor) -> impl Iterator<Item = Part> + use<> {
        let all = weight.rows_per_expert;
        let experts = weight.rows.checked_div(all).unwrap_or(0);
        let each = PART_BYTES / (experts.max(1) * row_bytes(weight.width));
        let unit = if each >= OUTPUTS { OUTPUTS } else { TILE };
        let each = (each / unit * unit).max(TILE);
        (0..all).step_by(each).map(move |first| {
            let outputs = each.min(all - first);
            Part { first, outputs, all, experts }
        })
    }

    /// Bytes of an expert's.
    pub(super) fn bytes(&self, width: usize) -> usize {
        self.outputs.next_multiple_of(TILE) * row_bytes(width)
    }
}

fn row_bytes(width: usize) -> usize {
    2 * width.next_multiple_of(64)
}

impl Spread {
    pub(super) fn new(kernels: &Kernels) -> Result<Spread> {
        Ok(Spread(ByFormat::new(kernels, "spread", "spread")?))
    }

    /// `part` of a matrix that lies as in its file, times 2^`unit`.
    pub(super) fn run(
        &self,
        stream: &Stream,
        scratch: &Scratch,
        weight: &Tensor,
        part: Part,
        unit: i32,
    ) -> Result<Piece> {
        let out = scratch.piece(part.experts * part.bytes(weight.width))?;
        let launch = self.0.of(weight)?.launch().grid(BLOCKS, 1, 1).block(THREADS, 1);
        let launch = launch.arg(&out).arg(weight).arg(weight.layout.bits());
        let launch = launch.arg(power_of_two(unit));
        let launch = launch.arg(small(weight.width)?).arg(small(part.first)?);
        let launch = launch.arg(small(part.outputs)?).arg(small(part.all)?);
        launch.arg(small(part.experts)?).on(stream)?;
        Ok(out)
    }
}

/// 2^`exponent`, within f32's normal numbers.
pub(super) fn power_of_two(exponent: i32) -> f32 {
    f32::from_bits(((exponent.clamp(-126, 127) + 127) as u32) << 23)
}

/// What a matrix is multiplied with before it is rounded, as a power of two: f16 has room for five
/// bits of exponent, and its largest number must not leave them. MXFP4's scales are applied to
/// codes that are 2^14 times too small, so there the largest stays below one.
pub(super) fn unit(weight: &Tensor) -> i32 {
    let top = match weight.layout {
        Layout::Pairs { .. } | Layout::Units { .. } => 0,
        Layout::File | Layout::Woven { .. } | Layout::Items { .. } => 14,
    };
    let exponent = (weight.most.to_bits() >> 23) as i32 - 127;
    if weight.most > 0.0 { (top - 1 - exponent).min(120) } else { 0 }
}
