//! AVX2 for one row of activations, and for filling panels: blocks of eight rows as they lie
//! arranged. Sums are those of `kernels`, to the bit, as whole numbers have no order.

use super::kernels::{Fills, Line, Sums};
use super::panel::{Panel, REGISTERS, Register};
use super::rounded::{Block, Row};
use crate::backend::cpu::matmul::eights::{self, Avx2, Eights};
use std::arch::x86_64::*;

/// The kernels for a format, on a machine that has AVX2, FMA and F16C.
pub(super) fn of(format: &str) -> Option<(Line, Fills)> {
    macro_rules! named {
        ($($name:literal $eights:ident)*) => {
            match format {
                $($name => Some((
                    // SAFETY: the caller vouches for the machine.
                    |w, x, sums| unsafe { line::<eights::$eights>(w, x, sums) },
                    Fills {
                        // SAFETY: as above.
                        whole: |w, panel| unsafe { fill::<eights::$eights, false>(w, panel) },
                        // SAFETY: as above.
                        narrow: |w, panel| unsafe { fill::<eights::$eights, true>(w, panel) },
                    },
                )),)*
                _ => None,
            }
        };
    }
    named!("Q4_0" Q4_0 "Q5_0" Q5_0 "Q8_0" Q8_0 "MXFP4" Mxfp4 "Q4_K" Q4K "Q5_K" Q5K "Q6_K" Q6K)
}

/// How far ahead memory is asked for: what the processor guesses ends with a page.
const AHEAD: usize = 2048;

#[target_feature(enable = "avx2,fma,f16c")]
fn line<F: Eights>(w: &[u8], x: &Row, sums: &mut Sums) {
    // SAFETY: this is compiled for them.
    let on = unsafe { Avx2::new() };
    let mut acc = _mm256_setzero_ps();
    let blocks = x.blocks.chunks_exact(F::BASES * F::PARTS);
    for (w, x) in bytemuck::cast_slice::<u8, F>(w).iter().zip(blocks) {
        let scales = w.scales(on);
        let lines = size_of::<F>().div_ceil(64);
        for (base, x) in x.chunks_exact(F::PARTS).enumerate() {
            // A part of the next lines for a part of the block: all at once would be more than the
            // processor asks for at a time.
            for line in base * lines / F::BASES..(base + 1) * lines / F::BASES {
                let from = std::ptr::from_ref(w).cast::<i8>().wrapping_add(AHEAD + 64 * line);
                _mm_prefetch::<_MM_HINT_T0>(from);
            }
            acc = block::<F, 0>(on, w, base, &x[0], &scales, acc);
            if F::PARTS > 1 {
                acc = block::<F, 1>(on, w, base, &x[1], &scales, acc);
            }
            if F::PARTS > 2 {
                acc = block::<F, 2>(on, w, base, &x[2], &scales, acc);
                acc = block::<F, 3>(on, w, base, &x[3], &scales, acc);
            }
        }
    }
    // SAFETY: eight floats.
    unsafe { _mm256_storeu_ps(sums.as_mut_ptr(), acc) };
}

/// What a block adds.
#[inline(always)]
fn block<F: Eights, const PART: usize>(
    on: Avx2,
    w: &F,
    base: usize,
    x: &Block,
    scales: &F::Scales,
    mut acc: __m256,
) -> __m256 {
    // SAFETY: the machine has the instructions, and a block the eight words of codes.
    unsafe {
        let (ones, x_scale) = (_mm256_set1_epi16(1), _mm256_set1_ps(x.scale));
        let at = F::PARTS * base + PART;
        for half in 0..F::HALVES {
            let start = bytemuck::cast(x.pairs[half]);
            let mut whole = _mm256_set1_epi32(if F::WIDE { 0 } else { start });
            for k in 0..REGISTERS / F::HALVES {
                let k = half * REGISTERS / F::HALVES + k;
                let codes = w.codes::<PART>(on, base, k);
                let x = _mm256_set1_epi32(x.codes.as_ptr().cast::<i32>().add(k).read_unaligned());
                whole = if F::WIDE {
                    // The sign moves over, because one factor must have none.
                    let pairs =
                        _mm256_maddubs_epi16(_mm256_abs_epi8(codes), _mm256_sign_epi8(x, codes));
                    _mm256_add_epi32(whole, _mm256_madd_epi16(pairs, ones))
                } else {
                    _mm256_add_epi16(whole, _mm256_maddubs_epi16(codes, x))
                };
            }
            let whole = if F::WIDE { whole } else { _mm256_madd_epi16(whole, ones) };
            let scale = _mm256_mul_ps(F::scale(on, scales, at, half), x_scale);
            acc = _mm256_fmadd_ps(_mm256_cvtepi32_ps(whole), scale, acc);
        }
        if F::MINS {
            acc = _mm256_fnmadd_ps(F::min(on, scales, at), _mm256_set1_ps(x.sums[0]), acc);
        }
        acc
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn fill<F: Eights, const NARROW: bool>(w: &[u8], panel: &mut Panel) {
    // SAFETY: this is compiled for them.
    let on = unsafe { Avx2::new() };
    let registers = if F::WIDE && !NARROW { 2 * REGISTERS } else { REGISTERS };
    let blocks = F::BASES * F::PARTS;
    let codes = panel.codes.chunks_exact_mut(blocks * registers);
    let scales = panel.scales.chunks_exact_mut(blocks * F::HALVES);
    let mins = panel.mins.chunks_exact_mut(blocks * F::HALVES);
    let out = codes.zip(scales).zip(mins);
    for (w, ((codes, scales), mins)) in bytemuck::cast_slice::<u8, F>(w).iter().zip(out) {
        let all = w.scales(on);
        // SAFETY: a register of scales or minima has eight floats.
        unsafe {
            for at in 0..blocks {
                for half in 0..F::HALVES {
                    let out = &mut scales[at * F::HALVES + half];
                    _mm256_storeu_ps(out.as_mut_ptr(), F::scale(on, &all, at, half));
                }
                if F::MINS {
                    let min = _mm256_sub_ps(_mm256_set1_ps(-0.0), F::min(on, &all, at));
                    _mm256_storeu_ps(mins[at].as_mut_ptr(), min);
                }
            }
        }
        for (base, codes) in codes.chunks_exact_mut(F::PARTS * registers).enumerate() {
            put::<F, NARROW, 0>(on, w, base, codes);
            if F::PARTS > 1 {
                put::<F, NARROW, 1>(on, w, base, codes);
            }
            if F::PARTS > 2 {
                put::<F, NARROW, 2>(on, w, base, codes);
                put::<F, NARROW, 3>(on, w, base, codes);
            }
        }
    }
}

/// Places of the first two and of the last two bytes of words, as upper bytes.
const TWO: [[u8; 32]; 2] = {
    let mut places = [[0x80; 32]; 2];
    let mut i = 0;
    while i < 32 {
        let at = i / 2 % 2 + i % 16 / 4 * 4;
        places[0][i + 1] = at as u8;
        places[1][i + 1] = at as u8 + 2;
        i += 2;
    }
    places
};

/// The codes of one part.
#[inline(always)]
fn put<F: Eights, const NARROW: bool, const PART: usize>(
    on: Avx2,
    w: &F,
    base: usize,
    out: &mut [Register],
) {
    let registers = if F::WIDE && !NARROW { 2 * REGISTERS } else { REGISTERS };
    let out = &mut out[PART * registers..][..registers];
    for k in 0..REGISTERS {
        // SAFETY: the machine has the instructions, and registers are aligned to their 32 bytes.
        unsafe {
            let codes = w.codes::<PART>(on, base, k);
            let mut store = |at: usize, values| {
                _mm256_store_si256(out[at].0.as_mut_ptr().cast(), values);
            };
            if F::WIDE && !NARROW {
                // The first two and the last two bytes of each row, which become 16 bits wide.
                let two = |places: &[u8; 32]| {
                    let places = _mm256_loadu_si256(places.as_ptr().cast());
                    _mm256_srai_epi16(_mm256_shuffle_epi8(codes, places), 8)
                };
                store(2 * k, two(&TWO[0]));
                store(2 * k + 1, two(&TWO[1]));
            } else {
                store(k, codes);
            }
        }
    }
}
