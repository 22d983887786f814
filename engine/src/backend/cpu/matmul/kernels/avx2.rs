//! AVX2 + FMA. The lanes of a sum are two registers, and a tile of 4 × 3 sums would need 24 of the
//! 16 there are, so a tile is walked twice: lanes 0–7 first, then lanes 8–15.

#![allow(clippy::needless_range_loop)] // one index counts in several arrays

use super::super::tree::Lanes;
use super::{Kernels, PANEL, TILE};
use std::arch::x86_64::*;

// SAFETY (all): reached through `kernels::of` alone, for a level that the machine has.
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
    stripes: &[
        // SAFETY: as above.
        |w, x, sums| unsafe { stripe::<1>(w, x, sums) },
        // SAFETY: as above.
        |w, x, sums| unsafe { stripe::<2>(w, x, sums) },
        // SAFETY: as above.
        |w, x, sums| unsafe { stripe::<3>(w, x, sums) },
        // SAFETY: as above.
        |w, x, sums| unsafe { stripe::<4>(w, x, sums) },
        // SAFETY: as above.
        |w, x, sums| unsafe { stripe::<5>(w, x, sums) },
        // SAFETY: as above.
        |w, x, sums| unsafe { stripe::<6>(w, x, sums) },
    ],
    // SAFETY: as above.
    transpose: |from, f, to, t| unsafe { transpose(from, f, to, t) },
    // SAFETY: as above.
    fold_across: |sums, stride| unsafe { fold_across(sums, stride) },
};

/// Half of the lanes: 0 for lanes 0–7, 1 for lanes 8–15.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in crate::backend::cpu::matmul) fn load(lanes: &Lanes, half: usize) -> __m256 {
    debug_assert!(half < 2);
    // SAFETY: eight floats from 0 or 8 on, of sixteen; aligned, because `Lanes` is.
    unsafe { _mm256_load_ps(lanes.0.as_ptr().add(8 * half)) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in crate::backend::cpu::matmul) fn store(lanes: &mut Lanes, half: usize, values: __m256) {
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

/// Sixteen matrix rows are two registers, six activation rows make twelve of sums.
#[target_feature(enable = "avx2,fma")]
fn stripe<const X: usize>(w: &[Lanes], x: &[&[f32]], sums: &mut [Lanes]) {
    // Loops, because closures are not always inlined here.
    let (mut rows, mut acc) = ([&[][..]; X], [[_mm256_setzero_ps(); 2]; X]);
    let sums = &mut sums[..X];
    for i in 0..X {
        rows[i] = &x[i][..w.len()];
        acc[i] = [load(&sums[i], 0), load(&sums[i], 1)];
    }
    for (k, w) in w.iter().enumerate() {
        let (low, high) = (load(w, 0), load(w, 1));
        for i in 0..X {
            // SAFETY: every row has been cut to as many steps as `w` has.
            let x = _mm256_set1_ps(*unsafe { rows[i].get_unchecked(k) });
            acc[i][0] = _mm256_fmadd_ps(low, x, acc[i][0]);
            acc[i][1] = _mm256_fmadd_ps(high, x, acc[i][1]);
        }
    }
    for i in 0..X {
        store(&mut sums[i], 0, acc[i][0]);
        store(&mut sums[i], 1, acc[i][1]);
    }
}

/// As in `tree::fold_across`, eight sums at a time.
#[target_feature(enable = "avx2,fma")]
pub(super) fn fold_across(sums: &[Lanes], stride: usize) -> Lanes {
    let mut out = Lanes::ZERO;
    for half in 0..2 {
        let mut own = [_mm256_setzero_ps(); 8];
        for (i, own) in own.iter_mut().enumerate() {
            let (low, high) = (&sums[i * stride], &sums[(i + 8) * stride]);
            *own = _mm256_add_ps(load(low, half), load(high, half));
        }
        for width in [1, 2, 4] {
            for i in (0..8).step_by(2 * width) {
                own[i] = _mm256_add_ps(own[i], own[i + width]);
            }
        }
        store(&mut out, half, own[0]);
    }
    out
}

/// Four squares of eight.
#[target_feature(enable = "avx2,fma")]
pub(super) fn transpose(from: &[Lanes], f: usize, to: &mut [Lanes], t: usize) {
    for (above, left) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let rows: [__m256; 8] = std::array::from_fn(|i| load(&from[f * (8 * above + i)], left));
        let turned = turn(rows);
        for i in 0..8 {
            store(&mut to[t * (8 * left + i)], above, turned[i]);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn turn(r: [__m256; 8]) -> [__m256; 8] {
    // Row i of `pairs` holds neighbours of two rows, of `fours` a quarter column of four.
    let low = |i: usize| _mm256_unpacklo_ps(r[i], r[i + 1]);
    let high = |i: usize| _mm256_unpackhi_ps(r[i], r[i + 1]);
    let pairs = [low(0), high(0), low(2), high(2), low(4), high(4), low(6), high(6)];
    let left = |i: usize| _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0b01_00_01_00);
    let right = |i: usize| _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0b11_10_11_10);
    let fours = [left(0), right(0), left(1), right(1), left(4), right(4), left(5), right(5)];
    let near = |i: usize| _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x20);
    let far = |i: usize| _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x31);
    [near(0), near(1), near(2), near(3), far(0), far(1), far(2), far(3)]
}
