//! AVX2 for many rows of activations: sixteen matrix rows are two registers, six activation rows
//! make twelve of sums.

#![allow(clippy::needless_range_loop)] // one index counts in several arrays

use super::Codes;
use super::kernels::{Build, Stripes, Wall, stripes_of};
use super::shifted::Block;
use crate::backend::cpu::matmul::fast::panel::{Panel, REGISTERS};
use crate::backend::cpu::matmul::fast::strip::BLOCK;
use crate::backend::cpu::matmul::kernels::avx2::{load, store};
use crate::backend::cpu::matmul::tree::Lanes;
use std::arch::x86_64::*;
use std::ops::Range;

pub(super) fn of(codes: &Codes) -> Stripes {
    let stripes = stripes_of!(codes, stripe, 1 2 3 4 5 6);
    Stripes { build: built(codes), stripes, most: stripes.len() }
}

/// What makes numbers of codes.
pub(super) fn built(codes: &Codes) -> Build {
    macro_rules! build {
        ($($kind:tt)*) => {
            // SAFETY: reached through `kernels::stripes` alone, for a level that the machine has.
            |panels, blocks, wall| unsafe { build::<$($kind)*>(panels, blocks, wall) }
        };
    }
    match (codes.signed, codes.halves, codes.mins) {
        (true, ..) => build!(true, 1, false),
        (_, 1, false) => build!(false, 1, false),
        (_, 1, true) => build!(false, 1, true),
        (.., false) => build!(false, 2, false),
        (.., true) => build!(false, 2, true),
    }
}

#[target_feature(enable = "avx2,fma")]
fn build<const SIGNED: bool, const HALVES: usize, const MINS: bool>(
    panels: &[&Panel; 2],
    blocks: Range<usize>,
    wall: &mut Wall,
) {
    let groups = blocks.start * HALVES..blocks.end * HALVES;
    wall.values.resize(blocks.len() * BLOCK, Lanes::ZERO);
    wall.scales.resize(groups.len(), Lanes::ZERO);
    wall.mins.resize(groups.len(), Lanes::ZERO);
    let (byte, top) = (_mm256_set1_epi32(0xFF), _mm256_set1_epi32(0xFF << 24));
    let (second, third) = (_mm256_slli_epi32(byte, 8), _mm256_slli_epi32(byte, 16));
    for (half, panel) in panels.iter().enumerate() {
        let codes = &panel.codes[blocks.start * REGISTERS..blocks.end * REGISTERS];
        for (codes, out) in codes.iter().zip(wall.values.as_chunks_mut::<4>().0) {
            // SAFETY: 32 bytes, aligned to as many.
            let codes = unsafe { _mm256_load_si256(codes.0.as_ptr().cast()) };
            let words = if SIGNED {
                [
                    _mm256_slli_epi32(codes, 24),
                    _mm256_and_si256(_mm256_slli_epi32(codes, 16), top),
                    _mm256_and_si256(_mm256_slli_epi32(codes, 8), top),
                    _mm256_and_si256(codes, top),
                ]
            } else {
                [
                    _mm256_and_si256(codes, byte),
                    _mm256_and_si256(codes, second),
                    _mm256_and_si256(codes, third),
                    _mm256_srli_epi32(codes, 24),
                ]
            };
            for j in 0..4 {
                store(&mut out[j], half, _mm256_cvtepi32_ps(words[j]));
            }
        }
        for (scale, out) in panel.scales[groups.clone()].iter().zip(&mut wall.scales) {
            out.0[8 * half..8 * half + 8].copy_from_slice(scale);
        }
        if MINS {
            for (min, out) in panel.mins[groups.clone()].iter().zip(&mut wall.mins) {
                out.0[8 * half..8 * half + 8].copy_from_slice(min);
            }
        }
    }
}

#[target_feature(enable = "avx2,fma")]
fn stripe<const X: usize, const HALVES: usize, const MINS: bool>(
    wall: &Wall,
    x: &[&[Block]],
    sums: &mut [Lanes],
) {
    let (len, n) = (BLOCK / HALVES, x[0].len());
    let values = wall.values.as_chunks::<BLOCK>().0;
    let (mut rows, sums) = ([&[][..]; X], &mut sums[..X]);
    for i in 0..X {
        rows[i] = &x[i][..n];
    }
    for (b, values) in values[..n].iter().enumerate() {
        for h in 0..HALVES {
            let mut whole = [[_mm256_setzero_ps(); 2]; X];
            for i in 0..X {
                whole[i] = [_mm256_set1_ps(rows[i][b].starts[h]); 2];
            }
            for k in h * len..(h + 1) * len {
                let (low, high) = (load(&values[k], 0), load(&values[k], 1));
                for i in 0..X {
                    let x = _mm256_set1_ps(rows[i][b].values[k]);
                    whole[i][0] = _mm256_fmadd_ps(low, x, whole[i][0]);
                    whole[i][1] = _mm256_fmadd_ps(high, x, whole[i][1]);
                }
            }
            for half in 0..2 {
                let scale = load(&wall.scales[b * HALVES + h], half);
                for i in 0..X {
                    let mut sum = _mm256_fmadd_ps(whole[i][half], scale, load(&sums[i], half));
                    if MINS {
                        let x_sum = _mm256_set1_ps(rows[i][b].sums[h]);
                        sum = _mm256_fmadd_ps(load(&wall.mins[b * HALVES + h], half), x_sum, sum);
                    }
                    store(&mut sums[i], half, sum);
                }
            }
        }
    }
}
