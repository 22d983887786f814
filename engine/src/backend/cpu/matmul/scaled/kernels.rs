//! The inner loops of products with codes, and their twin that can be read.

use super::Codes;
use super::shifted::{Block, places};
use crate::backend::cpu::level::Level;
use crate::backend::cpu::matmul::fast::panel::Panel;
use crate::backend::cpu::matmul::fast::strip::{BLOCK, GROUP_ROWS, Strip};
use crate::backend::cpu::matmul::tree::Lanes;
use std::ops::Range;

/// Adds the products of some blocks of eight matrix rows and an activation row.
pub(super) type Short = fn(strip: &Strip, x: &[Block], sums: &mut [f32; GROUP_ROWS]);

/// The products of twice eight matrix rows, given as arranged blocks, and an activation row.
pub(super) type Line = fn(w: [&[u8]; 2], x: &[Block], sums: &mut Lanes);

/// Some blocks of sixteen matrix rows as numbers, a column or a group of all rows each.
#[derive(Default)]
pub(super) struct Wall {
    /// Codes, in the places that `shifted` says.
    pub(super) values: Vec<Lanes>,
    pub(super) scales: Vec<Lanes>,
    pub(super) mins: Vec<Lanes>,
}

/// Makes numbers of some blocks of two panels.
pub(super) type Build = fn(panels: &[&Panel; 2], blocks: Range<usize>, wall: &mut Wall);

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
/// number of activation rows.
#[cfg(target_arch = "x86_64")]
macro_rules! stripes_of {
    ($codes:expr, $stripe:ident, $($x:literal)*) => {
        match ($codes.halves, $codes.mins) {
            (1, false) => stripes_of!(@ $stripe, 1, false, $($x)*),
            (1, true) => stripes_of!(@ $stripe, 1, true, $($x)*),
            (_, false) => stripes_of!(@ $stripe, 2, false, $($x)*),
            (_, true) => stripes_of!(@ $stripe, 2, true, $($x)*),
        }
    };
    (@ $stripe:ident, $halves:literal, $mins:literal, $($x:literal)*) => {{
        const STRIPES: &[$crate::backend::cpu::matmul::scaled::kernels::Stripe] = &[
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
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => Some(super::avx512::of(codes)),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => Some(super::avx2::of(codes)),
        _ => {
            let _ = codes;
            None
        }
    }
}

/// What multiplies a format's arranged blocks, on a machine that reads them.
pub(super) fn line(format: &str, level: Level) -> Option<Line> {
    #[cfg(target_arch = "x86_64")]
    if level >= Level::Avx2 {
        return super::lines::of(format);
    }
    let _ = (format, level);
    None
}

/// The twin that can be read.
pub(super) fn short(codes: &Codes) -> Short {
    match (codes.signed, codes.halves, codes.mins) {
        (true, ..) => readable::<true, 1, false>,
        (_, 1, false) => readable::<false, 1, false>,
        (_, 1, true) => readable::<false, 1, true>,
        (.., false) => readable::<false, 2, false>,
        (.., true) => readable::<false, 2, true>,
    }
}

fn readable<const SIGNED: bool, const HALVES: usize, const MINS: bool>(
    strip: &Strip,
    x: &[Block],
    sums: &mut [f32; GROUP_ROWS],
) {
    let value = |code: u8| if SIGNED { f32::from(code as i8) } else { f32::from(code) };
    let places = places(SIGNED);
    let len = BLOCK / HALVES;
    for (row, sum) in sums.iter_mut().enumerate() {
        for group in 0..x.len() * HALVES {
            let (x, half) = (&x[group / HALVES], group % HALVES);
            let codes = strip.codes[row].0[group * len..][..len].iter();
            let mut whole = x.starts[half];
            for (column, (code, x)) in codes.zip(&x.values[half * len..]).enumerate() {
                whole = (value(*code) * places[column % 4]).mul_add(*x, whole);
            }
            *sum = whole.mul_add(strip.scales[group][row], *sum);
            if MINS {
                *sum = strip.mins[group][row].mul_add(x.sums[half], *sum);
            }
        }
    }
}
