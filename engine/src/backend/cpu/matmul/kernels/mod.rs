//! The inner loops, one file an instruction set, all following the one order of sums in `tree`.

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod lines;
mod scalar;
#[cfg(target_arch = "x86_64")]
pub(super) mod unpack;

use super::super::level::Level;
use super::tree::Lanes;

/// Matrix rows that a tile covers.
pub(super) const TILE: usize = 4;
/// Matrix rows that are decoded together.
pub(super) const PANEL: usize = 16;
/// Activation rows that a tile covers at most.
pub(super) const MOST_X: usize = 3;

/// Activation rows that a stripe covers at most.
pub(super) const MOST_STRIPE: usize = 12;

/// Adds the products of 4 matrix rows and some activation rows to their sums. `w` holds the matrix
/// rows one after the other, each as long as every row of `x`; the sum of activation row i and
/// matrix row r is `sums[16·i + r]`.
pub(super) type Tile = fn(w: &[Lanes], x: &[&[Lanes]], sums: &mut [Lanes]);

/// Adds the products of sixteen matrix rows and some activation rows within one lane to their sums:
/// `sums[i]` are the sums of activation row i and every matrix row; `w[k]` are the numbers of
/// every matrix row at step k. Each row of `x` is at least as long as `w`.
pub(super) type Stripe = fn(w: &[Lanes], x: &[&[f32]], sums: &mut [Lanes]);

/// `to[t·i][j] = from[f·j][i]` for 16 × 16 numbers.
pub(super) type Transpose = fn(from: &[Lanes], f: usize, to: &mut [Lanes], t: usize);

/// Sums of four matrix rows, given as blocks, and one activation row of a whole number of lanes.
pub(super) type Line = fn(w: &[&[u8]; TILE], x: &[f32], sums: &mut [Lanes; TILE]);

/// The line for a format, if there is one faster than decoding first; the caller has asked whether
/// this machine can run it.
pub(super) fn line(format: &str, level: Level) -> Option<Line> {
    #[cfg(target_arch = "x86_64")]
    if level >= Level::Avx2 {
        return lines::of(format);
    }
    let _ = (format, level);
    None
}

/// What an instruction set offers.
#[derive(Clone, Copy)]
pub(super) struct Kernels {
    /// For 1, 2 and 3 rows of activations.
    pub(super) tiles: [Tile; MOST_X],
    /// `fold` of sixteen sums.
    pub(super) fold: fn(&[Lanes; PANEL]) -> [f32; PANEL],
    /// For 1, 2, 3, … rows of activations.
    pub(super) stripes: &'static [Stripe],
    /// Rows to lanes and back.
    pub(super) transpose: Transpose,
    /// `fold` of sixteen sums at once: lane l of all of them is `sums[l·stride]`.
    pub(super) fold_across: fn(sums: &[Lanes], stride: usize) -> Lanes,
}

/// The kernels of a level; the caller has asked whether this machine can run it.
pub(super) fn of(level: Level) -> Kernels {
    match level {
        Level::Scalar => scalar::KERNELS,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => avx2::KERNELS,
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => avx512::KERNELS,
        #[cfg(not(target_arch = "x86_64"))]
        _ => scalar::KERNELS,
    }
}
