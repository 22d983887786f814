//! AVX-512 for many rows of activations: sixteen matrix rows are one register, and twelve
//! activation rows are enough sums not to wait.

#![allow(clippy::needless_range_loop)] // one index counts in several arrays

use super::kernels::{Stripes, Wall, stripes_of};
use super::shifted::Block;
use super::{Codes, avx2};
use crate::backend::cpu::matmul::fast::strip::BLOCK;
use crate::backend::cpu::matmul::tree::Lanes;
use std::arch::x86_64::*;

pub(super) fn of(codes: &Codes) -> Stripes {
    let stripes = stripes_of!(codes, stripe, 1 2 3 4 5 6 7 8 9 10 11 12);
    Stripes { build: avx2::built(codes), stripes, most: stripes.len() }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(lanes: &Lanes) -> __m512 {
    // SAFETY: sixteen floats, aligned to 64 bytes.
    unsafe { _mm512_load_ps(lanes.0.as_ptr()) }
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
        let mut whole = [_mm512_setzero_ps(); X];
        for i in 0..X {
            whole[i] = _mm512_set1_ps(x[i][b].starts[h]);
        }
        for k in h * len..(h + 1) * len {
            let w = load(&wall.values[b * BLOCK + k]);
            for i in 0..X {
                whole[i] = _mm512_fmadd_ps(w, _mm512_set1_ps(x[i][b].values[k]), whole[i]);
            }
        }
        let scale = load(&wall.scales[group]);
        for i in 0..X {
            let mut sum = _mm512_fmadd_ps(whole[i], scale, load(&sums[i]));
            if MINS {
                let x_sum = _mm512_set1_ps(x[i][b].sums[h]);
                sum = _mm512_fmadd_ps(load(&wall.mins[group]), x_sum, sum);
            }
            // SAFETY: sixteen floats, aligned to 64 bytes.
            unsafe { _mm512_store_ps(sums[i].0.as_mut_ptr(), sum) };
        }
    }
}
