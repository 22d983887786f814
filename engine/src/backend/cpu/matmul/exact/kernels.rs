//! The inner loops, and their twin that can be read.

use super::Codes;
use super::placed::{Block, ORDER};
use crate::backend::cpu::level::Level;
use crate::backend::cpu::matmul::fast::panel::Panel;
use crate::backend::cpu::matmul::fast::strip::{BLOCK, GROUP_ROWS};
use crate::backend::cpu::matmul::lanes::Lanes;
use std::ops::Range;

/// The products of eight matrix rows, which lie together, and an activation row.
pub(super) type Line = fn(w: &[u8], x: &[Block], sums: &mut [f32; GROUP_ROWS]);

/// Puts some columns of eight matrix rows, plain numbers that lie together, into one half of a
/// wall's values.
pub(super) type Fill = fn(w: &[u8], half: usize, wall: &mut [Lanes]);

/// Some blocks of sixteen matrix rows as numbers, a column or a group of all rows each.
#[derive(Default)]
pub(super) struct Wall {
    /// What `placed` makes of codes, or what is stored.
    pub(super) values: Vec<Lanes>,
    pub(super) scales: Vec<Lanes>,
    pub(super) mins: Vec<Lanes>,
}

/// Makes numbers of some blocks of two panels.
pub(super) type Build =
    fn(panels: &[&Panel; 2], blocks: Range<usize>, codes: &Codes, wall: &mut Wall);

/// Adds the products of a wall and some activation rows, `sums[i]` being those of row i.
pub(super) type Stripe = fn(wall: &Wall, x: &[&[Block]], sums: &mut [Lanes]);

/// Activation rows that a stripe covers at most, on any machine.
pub(super) const MOST: usize = 12;

/// What an instruction set offers for many rows of activations.
#[derive(Clone, Copy)]
pub(super) struct Stripes {
    pub(super) build: Build,
    /// For 1, 2, 3, … rows.
    pub(super) stripes: &'static [Stripe],
    /// How many there are.
    pub(super) most: usize,
}

/// `$stripe`, a function of one instruction set, for what a format's codes are like, and for each
/// number of activation rows; `$plain` for plain numbers.
#[cfg(target_arch = "x86_64")]
macro_rules! stripes_of {
    ($codes:expr, $stripe:ident, $plain:ident, $($x:literal)*) => {
        match ($codes.kind, $codes.halves, $codes.mins) {
            ($crate::backend::cpu::matmul::exact::Kind::Plain, ..) => {
                const STRIPES: &[$crate::backend::cpu::matmul::exact::kernels::Stripe] = &[
                    // SAFETY: reached through `stripes` alone, for a level that the machine has.
                    $(|wall, x, sums| unsafe { $plain::<$x>(wall, x, sums) }),*
                ];
                STRIPES
            }
            (_, 1, false) => stripes_of!(@ $stripe, 1, false, $($x)*),
            (_, 1, true) => stripes_of!(@ $stripe, 1, true, $($x)*),
            (_, _, false) => stripes_of!(@ $stripe, 2, false, $($x)*),
            (_, _, true) => stripes_of!(@ $stripe, 2, true, $($x)*),
        }
    };
    (@ $stripe:ident, $halves:literal, $mins:literal, $($x:literal)*) => {{
        const STRIPES: &[$crate::backend::cpu::matmul::exact::kernels::Stripe] = &[
            // SAFETY: reached through `stripes` alone, for a level that the machine has.
            $(|wall, x, sums| unsafe { $stripe::<$x, $halves, $mins>(wall, x, sums) }),*
        ];
        STRIPES
    }};
}
#[cfg(target_arch = "x86_64")]
pub(super) use stripes_of;

/// The kernels of a level, which the machine has.
pub(super) fn stripes(codes: &Codes, level: Level) -> Option<Stripes> {
    #[cfg(target_arch = "x86_64")]
    match level {
        Level::Avx512 | Level::Vnni => return Some(super::avx512::of(codes)),
        Level::Avx2 => return Some(super::avx2::of(codes)),
        Level::Scalar => (),
    }
    let _ = (codes, level);
    None
}

/// What multiplies rows that lie together, and what fills walls with them where they are plain
/// numbers, on a machine that reads them.
pub(super) fn arranged(format: &str, level: Level) -> (Option<Line>, Option<Fill>) {
    #[cfg(target_arch = "x86_64")]
    if level >= Level::Avx2 {
        let (plain, fill) = super::plain_lines::of(format).unzip();
        return (super::lines::of(format).or(plain), fill);
    }
    let _ = (format, level);
    (None, None)
}

/// Adds the products of some blocks of a matrix row and an activation row: the twin of all kernels
/// that can be read. `four` gives the numbers of four columns, `scale` the scale of a group and its
/// minimum.
pub(super) fn readable(
    codes: &Codes,
    x: &[Block],
    four: impl Fn(usize) -> [f32; 4],
    scale: impl Fn(usize) -> (f32, f32),
    sum: &mut f32,
) {
    let fours = BLOCK / codes.halves / 4;
    for group in 0..x.len() * codes.halves {
        let (x, half) = (&x[group / codes.halves], group % codes.halves);
        let mut chains = x.starts[half];
        for (k, x) in x.values.as_chunks::<4>().0[half * fours..][..fours].iter().enumerate() {
            for (column, number) in four(group * fours + k).into_iter().enumerate() {
                let chain = &mut chains[column / 2];
                *chain = number.mul_add(x[ORDER[column]], *chain);
            }
        }
        let (scale, min) = scale(group);
        *sum = (chains[0] + chains[1]).mul_add(scale, *sum);
        if codes.mins {
            *sum = min.mul_add(x.sums[half], *sum);
        }
    }
}
