//! The inner loops of integer products. The order of a sum is: block by block; within a block
//! group by group, first the codes' product, then the minimum's, each by one fused multiply-add.
//! What is added is a whole number times the rounded product of two scales, so nothing else has an
//! order.

use super::codes::Coded;
use super::panel::{ABREAST, Panel};
use super::rounded::Row;
use super::strip::{BLOCK, GROUP_ROWS, Strip};
use crate::backend::cpu::level::Level;

/// Sums of eight matrix rows and one activation row.
pub(super) type Sums = [f32; GROUP_ROWS];

/// Adds the products of some blocks of eight matrix rows and an activation row.
pub(super) type Short = fn(strip: &Strip, n_blocks: usize, x: &Row, sums: &mut Sums);

/// The products of eight matrix rows, given as arranged blocks, and an activation row.
pub(super) type Line = fn(w: &[u8], x: &Row, sums: &mut Sums);

/// Puts eight matrix rows, given as arranged blocks, into a panel that has room for them.
pub(super) type Fill = fn(w: &[u8], panel: &mut Panel);

/// With codes as wide as `Coded` says, and always narrow.
#[derive(Clone, Copy)]
pub(super) struct Fills {
    pub(super) whole: Fill,
    pub(super) narrow: Fill,
}

/// What reads a format's arranged blocks; nothing on a machine that does not.
pub(super) fn arranged(format: &str, level: Level) -> Option<(Line, Fills)> {
    #[cfg(target_arch = "x86_64")]
    if level >= Level::Avx2 {
        return super::lines::of(format);
    }
    let _ = (format, level);
    None
}

/// Activation rows of a tile at most.
pub(super) const MOST: usize = 8;

/// The products of two panels, equally long, and some activation rows.
pub(super) type Tile = fn(panels: &[&Panel; ABREAST], x: &[Row], sums: &mut [[Sums; ABREAST]]);

/// What an instruction set offers for one kind of codes.
#[derive(Clone, Copy)]
pub(super) struct Kernels {
    pub(super) short: Short,
    /// For 1, 2, 3, … rows of activations, and what arranges a strip for them.
    pub(super) tiles: Option<(&'static [Tile], Arrange)>,
}

/// Arranges some blocks of a strip as the blocks of a panel from `first` on.
pub(super) type Arrange = fn(strip: &Strip, n_blocks: usize, first: usize, panel: &mut Panel);

/// The kernels of a level, which the machine has.
pub(super) fn of(coded: &Coded, level: Level) -> Kernels {
    #[cfg(target_arch = "x86_64")]
    match level {
        Level::Vnni => return super::vnni::of(coded),
        Level::Avx2 | Level::Avx512 => return super::avx2::of(coded),
        Level::Scalar => (),
    }
    let _ = level;
    let short: Short = match (coded.wide, coded.halves, coded.mins.is_some()) {
        (true, ..) => short::<true, 1, false>,
        (_, 1, false) => short::<false, 1, false>,
        (_, 1, true) => short::<false, 1, true>,
        (.., false) => short::<false, 2, false>,
        (.., true) => short::<false, 2, true>,
    };
    Kernels { short, tiles: None }
}

/// The twin that can be read.
fn short<const WIDE: bool, const HALVES: usize, const MINS: bool>(
    strip: &Strip,
    n_blocks: usize,
    x: &Row,
    sums: &mut Sums,
) {
    let len = BLOCK / HALVES;
    for (row, sum) in sums.iter_mut().enumerate() {
        for group in 0..n_blocks * HALVES {
            let own = strip.codes[row].0[group * len..][..len].iter();
            let value = |code: &u8| if WIDE { i32::from(*code as i8) } else { i32::from(*code) };
            let (x, half) = (&x.blocks[group / HALVES], group % HALVES);
            let products = own.zip(&x.codes[half * len..]);
            let whole: i32 = products.map(|(code, x)| value(code) * i32::from(*x)).sum();
            let whole = (whole + x.offsets[half]) as f32;
            *sum = whole.mul_add(strip.scales[group][row] * x.scale, *sum);
            if MINS {
                *sum = strip.mins[group][row].mul_add(x.sums[half], *sum);
            }
        }
    }
}
