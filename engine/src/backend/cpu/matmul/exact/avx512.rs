//! AVX-512 for many rows of activations: sixteen matrix rows are one register, and twelve
//! activation rows are enough sums not to wait.

#![allow(clippy::needless_range_loop)] // one index counts in several arrays

use super::kernels::{Stripes, Wall, stripes_of};
use super::placed::{Block, CHAINS, ORDER};
use super::{Codes, avx2};
use crate::backend::cpu::matmul::fast::strip::BLOCK;
use crate::backend::cpu::matmul::lanes::Lanes;
use std::arch::x86_64::*;

pub(super) fn of(codes: &Codes) -> Stripes {
    let stripes = stripes_of!(codes, stripe, plain, 1 2 3 4 5 6 7 8 9 10 11 12);
    Stripes { build: avx2::BUILD, stripes, most: stripes.len() }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(lanes: &Lanes) -> __m512 {
    // SAFETY: sixteen floats, aligned to 64 bytes.
    unsafe { _mm512_load_ps(lanes.0.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(lanes: &mut Lanes, values: __m512) {
    // SAFETY: as in `load`.
    unsafe { _mm512_store_ps(lanes.0.as_mut_ptr(), values) };
}

#[target_feature(enable = "avx512f")]
fn stripe<const X: usize, const HALVES: usize, const MINS: bool>(
    wall: &Wall,
    x: &[&[Block]],
    sums: &mut [Lanes],
) {
    let (len, n) = (BLOCK / HALVES, x[0].len());
    let (x, sums) = (&x[..X], &mut sums[..X]);
    for group in 0..n * HALVES {
        let (b, h) = (group / HALVES, group % HALVES);
        let mut chains = [[_mm512_setzero_ps(); X]; CHAINS];
        for i in 0..X {
            chains[0][i] = _mm512_set1_ps(x[i][b].starts[h][0]);
        }
        for (chain, whole) in chains.iter_mut().enumerate() {
            for four in (h * len..(h + 1) * len).step_by(4) {
                for j in 2 * chain..2 * chain + 2 {
                    let w = load(&wall.values[b * BLOCK + four + j]);
                    for i in 0..X {
                        let x = _mm512_set1_ps(x[i][b].values[four + ORDER[j]]);
                        whole[i] = _mm512_fmadd_ps(w, x, whole[i]);
                    }
                }
            }
        }
        let scale = load(&wall.scales[group]);
        for i in 0..X {
            let whole = _mm512_add_ps(chains[0][i], chains[1][i]);
            let mut sum = _mm512_fmadd_ps(whole, scale, load(&sums[i]));
            if MINS {
                let x_sum = _mm512_set1_ps(x[i][b].sums[h]);
                sum = _mm512_fmadd_ps(load(&wall.mins[group]), x_sum, sum);
            }
            store(&mut sums[i], sum);
        }
    }
}

/// A group of plain numbers.
#[target_feature(enable = "avx512f")]
fn plain<const X: usize>(wall: &Wall, x: &[&[Block]], sums: &mut [Lanes]) {
    let values = wall.values.as_chunks::<BLOCK>().0;
    let (x, sums) = (&x[..X], &mut sums[..X]);
    let mut chains = [[_mm512_setzero_ps(); X]; CHAINS];
    for (chain, whole) in chains.iter_mut().enumerate() {
        for (b, values) in values.iter().enumerate() {
            for four in (0..BLOCK).step_by(4) {
                for j in 2 * chain..2 * chain + 2 {
                    let w = load(&values[four + j]);
                    for i in 0..X {
                        let x = _mm512_set1_ps(x[i][b].values[four + ORDER[j]]);
                        whole[i] = _mm512_fmadd_ps(w, x, whole[i]);
                    }
                }
            }
        }
    }
    for i in 0..X {
        let whole = _mm512_add_ps(chains[0][i], chains[1][i]);
        let sum = _mm512_add_ps(whole, load(&sums[i]));
        store(&mut sums[i], sum);
    }
}
