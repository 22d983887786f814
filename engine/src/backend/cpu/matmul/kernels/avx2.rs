//! AVX2 + FMA. The lanes of a sum are two registers, and a tile of 4 × 3 sums would need 24 of the
//! 16 there are, so a tile is walked twice: lanes 0–7 first, then lanes 8–15.

#![allow(clippy::needless_range_loop)] // one index counts in several arrays

use super::super::tree::Lanes;
use super::{Kernels, PANEL, TILE};
use std::arch::x86_64::*;

// SAFETY (all four): reached through `kernels::of` alone, for a level that the machine has.
pub(super) const KERNELS: Kernels = Kernels {
    tiles: [
        // SAFETY: as above.
        |w, x, sums| unsafe { row(w, x, sums) },
        // SAFETY: as above.
        |w, x, sums| unsafe { tile::<2>(w, x, sums) },
        // SAFETY: as above.
        |w, x, sums| unsafe { tile::<3>(w, x, sums) },
    ],
    // SAFETY: as above.
    fold: |sums| unsafe { fold(sums) },
};

/// Half of the lanes: 0 for lanes 0–7, 1 for lanes 8–15.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn load(lanes: &Lanes, half: usize) -> __m256 {
    debug_assert!(half < 2);
    // SAFETY: eight floats from 0 or 8 on, of sixteen; aligned, because `Lanes` is.
    unsafe { _mm256_load_ps(lanes.0.as_ptr().add(8 * half)) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn store(lanes: &mut Lanes, half: usize, values: __m256) {
    debug_assert!(half < 2);
    // SAFETY: as in `load`.
    unsafe { _mm256_store_ps(lanes.0.as_mut_ptr().add(8 * half), values) }
}

/// The rows of a tile, equally long.
#[inline]
fn rows<'w, const X: usize>(
    w: &'w [Lanes],
    x: &[&'w [Lanes]],
) -> ([&'w [Lanes]; TILE], [&'w [Lanes]; X], usize) {
    let len = x[0].len();
    let w = std::array::from_fn(|r| &w[r * len..][..len]);
    (w, std::array::from_fn(|i| &x[i][..len]), len)
}

#[target_feature(enable = "avx2,fma")]
fn tile<const X: usize>(w: &[Lanes], x: &[&[Lanes]], sums: &mut [Lanes]) {
    let (w, x, len) = rows::<X>(w, x);
    let sums = &mut sums[..PANEL * (X - 1) + TILE];
    for half in 0..2 {
        let mut acc: [[__m256; TILE]; X] =
            std::array::from_fn(|i| std::array::from_fn(|r| load(&sums[PANEL * i + r], half)));
        for k in 0..len {
            // SAFETY: every row has `len` lanes, as `rows` has cut them.
            let x: [__m256; X] =
                std::array::from_fn(|i| load(unsafe { x[i].get_unchecked(k) }, half));
            for r in 0..TILE {
                // SAFETY: as above.
                let w = load(unsafe { w[r].get_unchecked(k) }, half);
                for i in 0..X {
                    acc[i][r] = _mm256_fmadd_ps(w, x[i], acc[i][r]);
                }
            }
        }
        for i in 0..X {
            for r in 0..TILE {
                store(&mut sums[PANEL * i + r], half, acc[i][r]);
            }
        }
    }
}

/// One activation row: both halves at once, because four sums alone would wait for each other.
#[target_feature(enable = "avx2,fma")]
fn row(w: &[Lanes], x: &[&[Lanes]], sums: &mut [Lanes]) {
    let (w, [x], len) = rows::<1>(w, x);
    let sums = &mut sums[..TILE];
    let mut acc: [[__m256; TILE]; 2] =
        std::array::from_fn(|half| std::array::from_fn(|r| load(&sums[r], half)));
    for k in 0..len {
        for half in 0..2 {
            // SAFETY: every row has `len` lanes, as `rows` has cut them.
            let x = load(unsafe { x.get_unchecked(k) }, half);
            for r in 0..TILE {
                // SAFETY: as above.
                let w = load(unsafe { w[r].get_unchecked(k) }, half);
                acc[half][r] = _mm256_fmadd_ps(w, x, acc[half][r]);
            }
        }
    }
    for half in 0..2 {
        for r in 0..TILE {
            store(&mut sums[r], half, acc[half][r]);
        }
    }
}

/// Four sums at a time: two rounds of adding neighbours leave the four lower and four upper
/// halves of `tree::fold`, in order.
#[target_feature(enable = "avx2,fma")]
fn fold(sums: &[Lanes; PANEL]) -> [f32; PANEL] {
    let mut out = [0.0; PANEL];
    for (four, out) in sums.as_chunks::<4>().0.iter().zip(out.as_chunks_mut::<4>().0) {
        let [a, b, c, d] = four.each_ref().map(|lanes| {
            let (low, high) = (load(lanes, 0), load(lanes, 1));
            _mm256_add_ps(low, high)
        });
        let halves = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
        let (low, high) = (_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1));
        // SAFETY: the array has the four places.
        unsafe { _mm_storeu_ps(out.as_mut_ptr(), _mm_add_ps(low, high)) };
    }
    out
}
