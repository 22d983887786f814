//! What every encoder shares: the rule it follows, what it may refuse, what it counts, and the
//! arithmetic that must match ggml's to the bit. Knows no layout.
//!
//! An encoder never writes a scale that is not a number: it refuses the values instead.

use super::block::Half;
use half::f16;
use thiserror::Error;

/// Whose encoder to match where two disagree; only MXFP4's do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rule {
    /// The OCP Microscaling specification: exact exponent, ties to the even code, −0 kept.
    #[default]
    Ocp,
    /// ggml's `quantize_row_*_ref`, bit for bit where that is defined.
    LlamaCpp,
}

/// Values that a format cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum Unencodable {
    /// A NaN or an infinity.
    #[error("element {element} is {value}; no block format can hold that")]
    NonFinite {
        /// Its position in the values passed.
        element: usize,
        /// What it is.
        value: f32,
    },
    /// The block needs a scale beyond 65504, the largest a stored f16 can be.
    #[error("block {block} needs a scale of {scale:e}, an f16 scale ends at 65504")]
    ScaleOverflow {
        /// Its position in the values passed.
        block: usize,
        /// The scale it needs.
        scale: f32,
    },
}

/// What an encoder did to values beside rounding them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Elements beyond the last code, stored as the last code.
    pub saturated: usize,
    /// Stored numbers (scales; elements of F16 and BF16) that are subnormal, so less precise, or
    /// zero though the number was not.
    /// For MXFP4: elements that are subnormal in f32.
    pub subnormal: usize,
    /// Finite elements that became infinite (F16 and BF16 only).
    pub overflowed: usize,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.saturated += other.saturated;
        self.subnormal += other.subnormal;
        self.overflowed += other.overflowed;
    }
}

/// Encodes whole blocks; the output has room for exactly their bytes.
pub type Encode = fn(&[f32], &mut [u8], Rule) -> Result<Tally, Unencodable>;

/// Refuses the first value that is not a number.
pub(super) fn require_finite(values: &[f32]) -> Result<(), Unencodable> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(element) => Err(Unencodable::NonFinite { element, value: values[element] }),
        None => Ok(()),
    }
}

/// A scale as the block stores it, rounded to nearest even.
pub(super) fn store_scale(
    scale: f32,
    block: usize,
    tally: &mut Tally,
) -> Result<Half, Unencodable> {
    let stored = f16::from_f32(scale);
    if !stored.is_finite() {
        return Err(Unencodable::ScaleOverflow { block, scale });
    }
    // Zero counts as well where the scale was not: the whole block is lost.
    let imprecise = !stored.is_normal() && scale != 0.0;
    tally.subnormal += usize::from(imprecise);
    Ok(stored.to_le_bytes())
}

/// The element of largest magnitude, with its sign; the first of equals.
pub(super) fn extreme(values: &[f32]) -> f32 {
    let larger = |best: f32, x: &f32| if x.abs() > best.abs() { *x } else { best };
    values.iter().fold(0.0, larger)
}

/// 1/scale, and 0 where that is not a number. A scale whose reciprocal overflows f32 is stored
/// as zero, so its codes have no meaning; ggml converts Inf and NaN to integers there.
pub(super) fn reciprocal(scale: f32) -> f32 {
    let reciprocal = scale.recip();
    if reciprocal.is_finite() { reciprocal } else { 0.0 }
}

/// The nearest integer, ties to even, by adding 1.5·2^23 so that the sum has no fraction bits.
/// Values beyond that trick's reach saturate; ggml's would wrap.
#[inline]
pub(super) fn nearest(value: f32) -> i32 {
    const REACH: f32 = 4_194_303.0;
    let shifted = value.clamp(-REACH, REACH) + 12_582_912.0;
    (shifted.to_bits() & 0x7F_FFFF) as i32 - 0x40_0000
}
