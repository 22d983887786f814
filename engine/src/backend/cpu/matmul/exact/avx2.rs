//! AVX2 for many rows of activations: sixteen matrix rows are two registers, six activation rows
//! make twelve of sums.

#![allow(clippy::needless_range_loop)] // one index counts in several arrays

use super::kernels::{Build, Stripes, Wall, stripes_of};
use super::placed::{ABOVE, Block, CHAINS, ORDER};
use super::{Codes, Kind};
use crate::backend::cpu::matmul::fast::panel::{Panel, REGISTERS};
use crate::backend::cpu::matmul::fast::strip::BLOCK;
use crate::backend::cpu::matmul::lanes::Lanes;
use std::arch::x86_64::*;
use std::ops::Range;

pub(super) fn of(codes: &Codes) -> Stripes {
    let stripes = stripes_of!(codes, stripe, plain, 1 2 3 4 5 6);
    Stripes { build: BUILD, stripes, most: stripes.len() }
}

/// What makes numbers of codes.
pub(super) const BUILD: Build =
    // SAFETY: reached through `kernels::stripes` alone, for a level that the machine has.
    |panels, blocks, codes, wall| unsafe { build(panels, blocks, codes, wall) };

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
pub(super) fn store(lanes: &mut Lanes, half: usize, values: __m256) {
    debug_assert!(half < 2);
    // SAFETY: as in `load`.
    unsafe { _mm256_store_ps(lanes.0.as_mut_ptr().add(8 * half), values) }
}

#[target_feature(enable = "avx2,fma")]
fn build(panels: &[&Panel; 2], blocks: Range<usize>, codes: &Codes, wall: &mut Wall) {
    let groups = blocks.start * codes.halves..blocks.end * codes.halves;
    wall.values.resize(blocks.len() * BLOCK, Lanes::ZERO);
    wall.scales.resize(groups.len(), Lanes::ZERO);
    wall.mins.resize(groups.len(), Lanes::ZERO);
    for (half, panel) in panels.iter().enumerate() {
        let registers = &panel.codes[blocks.start * REGISTERS..blocks.end * REGISTERS];
        for (register, out) in registers.iter().zip(wall.values.as_chunks_mut::<4>().0) {
            // SAFETY: 32 bytes, aligned to as many.
            let register = unsafe { _mm256_load_si256(register.0.as_ptr().cast()) };
            let numbers = numbers(register, codes);
            for j in 0..4 {
                store(&mut out[j], half, numbers[j]);
            }
        }
        for (scale, out) in panel.scales[groups.clone()].iter().zip(&mut wall.scales) {
            out.0[8 * half..8 * half + 8].copy_from_slice(scale);
        }
        if codes.mins {
            for (min, out) in panel.mins[groups.clone()].iter().zip(&mut wall.mins) {
                out.0[8 * half..8 * half + 8].copy_from_slice(min);
            }
        }
    }
}

/// The numbers of four columns, whose codes are the bytes of words.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn numbers(words: __m256i, codes: &Codes) -> [__m256; 4] {
    let byte = _mm256_set1_epi32(0xFF);
    match codes.kind {
        Kind::Below(bits) => {
            let raised = _mm256_sll_epi16(words, _mm_cvtsi32_si128(7 - bits));
            let above = _mm256_set1_epi16(i16::from(ABOVE) << 8);
            let first = _mm256_or_si256(_mm256_shuffle_epi8(raised, apart(0)), above);
            let last = _mm256_or_si256(_mm256_shuffle_epi8(raised, apart(1)), above);
            [
                _mm256_castsi256_ps(_mm256_slli_epi32(first, 16)),
                _mm256_castsi256_ps(first),
                _mm256_castsi256_ps(_mm256_slli_epi32(last, 16)),
                _mm256_castsi256_ps(last),
            ]
        }
        Kind::InPlace => converted([
            _mm256_and_si256(words, byte),
            _mm256_and_si256(words, _mm256_slli_epi32(byte, 8)),
            _mm256_and_si256(words, _mm256_slli_epi32(byte, 16)),
            _mm256_srli_epi32(words, 24),
        ]),
        Kind::Signed => {
            let top = _mm256_slli_epi32(byte, 24);
            converted([
                _mm256_slli_epi32(words, 24),
                _mm256_and_si256(_mm256_slli_epi32(words, 16), top),
                _mm256_and_si256(_mm256_slli_epi32(words, 8), top),
                _mm256_and_si256(words, top),
            ])
        }
        Kind::Centred | Kind::Plain => {
            let zero = _mm256_set1_epi32(codes.zero);
            converted([
                _mm256_sub_epi32(_mm256_and_si256(words, byte), zero),
                _mm256_sub_epi32(_mm256_and_si256(_mm256_srli_epi32(words, 8), byte), zero),
                _mm256_sub_epi32(_mm256_and_si256(_mm256_srli_epi32(words, 16), byte), zero),
                _mm256_sub_epi32(_mm256_srli_epi32(words, 24), zero),
            ])
        }
    }
}

/// Written out, because a closure would be compiled without these instructions.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn converted([a, b, c, d]: [__m256i; 4]) -> [__m256; 4] {
    [_mm256_cvtepi32_ps(a), _mm256_cvtepi32_ps(b), _mm256_cvtepi32_ps(c), _mm256_cvtepi32_ps(d)]
}

/// Places of two of every four bytes, as the first and third byte of a word.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn apart(chain: usize) -> __m256i {
    let mut places = [0x80; 32];
    for word in 0..8 {
        let from = (4 * word + 2 * chain) as u8 % 16;
        (places[4 * word], places[4 * word + 2]) = (from, from + 1);
    }
    // SAFETY: 32 bytes.
    unsafe { _mm256_loadu_si256(places.as_ptr().cast()) }
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
            let mut chains = [[[_mm256_setzero_ps(); 2]; X]; CHAINS];
            for i in 0..X {
                chains[0][i] = [_mm256_set1_ps(rows[i][b].starts[h][0]); 2];
            }
            for (chain, whole) in chains.iter_mut().enumerate() {
                for four in (h * len..(h + 1) * len).step_by(4) {
                    for j in 2 * chain..2 * chain + 2 {
                        let w = &values[four + j];
                        let (low, high) = (load(w, 0), load(w, 1));
                        for i in 0..X {
                            let x = _mm256_set1_ps(rows[i][b].values[four + ORDER[j]]);
                            whole[i][0] = _mm256_fmadd_ps(low, x, whole[i][0]);
                            whole[i][1] = _mm256_fmadd_ps(high, x, whole[i][1]);
                        }
                    }
                }
            }
            for half in 0..2 {
                let scale = load(&wall.scales[b * HALVES + h], half);
                for i in 0..X {
                    let whole = _mm256_add_ps(chains[0][i][half], chains[1][i][half]);
                    let mut sum = _mm256_fmadd_ps(whole, scale, load(&sums[i], half));
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

/// A group of plain numbers. Its inner loop is that of `stripe`, which was 5 to 14 per cent slower
/// when both had it from one function.
#[target_feature(enable = "avx2,fma")]
fn plain<const X: usize>(wall: &Wall, x: &[&[Block]], sums: &mut [Lanes]) {
    let values = wall.values.as_chunks::<BLOCK>().0;
    let (mut rows, sums) = ([&[][..]; X], &mut sums[..X]);
    for i in 0..X {
        rows[i] = &x[i][..values.len()];
    }
    let mut chains = [[[_mm256_setzero_ps(); 2]; X]; CHAINS];
    for (chain, whole) in chains.iter_mut().enumerate() {
        for (b, values) in values.iter().enumerate() {
            for four in (0..BLOCK).step_by(4) {
                for j in 2 * chain..2 * chain + 2 {
                    let w = &values[four + j];
                    let (low, high) = (load(w, 0), load(w, 1));
                    for i in 0..X {
                        let x = _mm256_set1_ps(rows[i][b].values[four + ORDER[j]]);
                        whole[i][0] = _mm256_fmadd_ps(low, x, whole[i][0]);
                        whole[i][1] = _mm256_fmadd_ps(high, x, whole[i][1]);
                    }
                }
            }
        }
    }
    for half in 0..2 {
        for i in 0..X {
            let whole = _mm256_add_ps(chains[0][i][half], chains[1][i][half]);
            let sum = _mm256_add_ps(whole, load(&sums[i], half));
            store(&mut sums[i], half, sum);
        }
    }
}
