//! AVX-512: a sum is one register, and a tile of 4 × 3 sums leaves room for what it reads.

#![allow(clippy::needless_range_loop)] // one index counts in several arrays

use super::super::tree::{self, Lanes};
use super::{Kernels, MOST_STRIPE, PANEL, Stripe, TILE, avx2};
use std::arch::x86_64::*;

// SAFETY (all): reached through `kernels::of` alone, for a level that the machine has.
pub(super) const KERNELS: Kernels = Kernels {
    tiles: [
        // SAFETY: as above.
        |w, x, sums| unsafe { tile::<1>(w, x, sums) },
        // SAFETY: as above.
        |w, x, sums| unsafe { tile::<2>(w, x, sums) },
        // SAFETY: as above.
        |w, x, sums| unsafe { tile::<3>(w, x, sums) },
    ],
    fold: |sums| sums.each_ref().map(tree::fold),
    stripes: &STRIPES,
    // SAFETY: as above.
    transpose: |from, f, to, t| unsafe { avx2::transpose(from, f, to, t) },
    // SAFETY: as above.
    fold_across: |sums, stride| unsafe { avx2::fold_across(sums, stride) },
};

macro_rules! stripes {
    ($($x:literal)*) => {
        // SAFETY: as above.
        [$(|w, x, sums| unsafe { stripe::<$x>(w, x, sums) }),*]
    };
}

const STRIPES: [Stripe; MOST_STRIPE] = stripes!(1 2 3 4 5 6 7 8 9 10 11 12);

#[inline]
#[target_feature(enable = "avx512f")]
fn load(lanes: &Lanes) -> __m512 {
    // SAFETY: sixteen floats, aligned to 64 bytes.
    unsafe { _mm512_load_ps(lanes.0.as_ptr()) }
}

#[target_feature(enable = "avx512f")]
fn tile<const X: usize>(w: &[Lanes], x: &[&[Lanes]], sums: &mut [Lanes]) {
    let len = x[0].len();
    let w: [&[Lanes]; TILE] = std::array::from_fn(|r| &w[r * len..][..len]);
    let x: [&[Lanes]; X] = std::array::from_fn(|i| &x[i][..len]);
    let sums = &mut sums[..PANEL * (X - 1) + TILE];
    let mut acc: [[__m512; TILE]; X] =
        std::array::from_fn(|i| std::array::from_fn(|r| load(&sums[PANEL * i + r])));
    for k in 0..len {
        // SAFETY: every row has been cut to `len` lanes.
        let x: [__m512; X] = std::array::from_fn(|i| load(unsafe { x[i].get_unchecked(k) }));
        for r in 0..TILE {
            // SAFETY: as above.
            let w = load(unsafe { w[r].get_unchecked(k) });
            for i in 0..X {
                acc[i][r] = _mm512_fmadd_ps(w, x[i], acc[i][r]);
            }
        }
    }
    for i in 0..X {
        for r in 0..TILE {
            // SAFETY: sixteen floats, aligned to 64 bytes.
            unsafe { _mm512_store_ps(sums[PANEL * i + r].0.as_mut_ptr(), acc[i][r]) };
        }
    }
}

/// Sixteen matrix rows are one register; twelve activation rows are enough sums not to wait.
#[target_feature(enable = "avx512f")]
fn stripe<const X: usize>(w: &[Lanes], x: &[&[f32]], sums: &mut [Lanes]) {
    let x: [&[f32]; X] = std::array::from_fn(|i| &x[i][..w.len()]);
    let sums = &mut sums[..X];
    let mut acc: [__m512; X] = std::array::from_fn(|i| load(&sums[i]));
    for (k, w) in w.iter().enumerate() {
        let w = load(w);
        for i in 0..X {
            // SAFETY: every row has been cut to as many steps as `w` has.
            let x = _mm512_set1_ps(*unsafe { x[i].get_unchecked(k) });
            acc[i] = _mm512_fmadd_ps(w, x, acc[i]);
        }
    }
    for i in 0..X {
        // SAFETY: sixteen floats, aligned to 64 bytes.
        unsafe { _mm512_store_ps(sums[i].0.as_mut_ptr(), acc[i]) };
    }
}
