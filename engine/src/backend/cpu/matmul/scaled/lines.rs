//! AVX2 for one row of activations: blocks of eight rows as they lie arranged. Codes stay where
//! they are in their words, so that making a number of one is a mask and a conversion. Two blocks
//! of sixteen rows go side by side: the sum of one would wait for itself, and activations that were
//! read for eight rows alone would be too much to read.

#![allow(clippy::needless_range_loop)] // one index counts in several arrays

use super::kernels::Line;
use super::shifted::Block;
use crate::backend::cpu::matmul::eights::{self, Avx2, Eights};
use crate::backend::cpu::matmul::tree::Lanes;
use std::arch::asm;
use std::arch::x86_64::*;

/// The kernel for a format, on a machine that has AVX2, FMA and F16C.
pub(super) fn of(format: &str) -> Option<Line> {
    macro_rules! named {
        ($($name:literal $eights:ident)*) => {
            match format {
                // SAFETY: the caller vouches for the machine.
                $($name => Some(|w, x, sums| unsafe { line::<eights::$eights>(w, x, sums) }),)*
                _ => None,
            }
        };
    }
    named!("Q4_0" Q4_0 "Q5_0" Q5_0 "Q8_0" Q8_0 "MXFP4" Mxfp4 "Q4_K" Q4K "Q5_K" Q5K "Q6_K" Q6K)
}

/// How far ahead memory is asked for: the next rows', unless they are far, because what the
/// processor guesses ends with a page.
fn ahead(eight: &[u8]) -> usize {
    const FAR: usize = 10 << 10;
    const NEAR: usize = 2 << 10;
    if eight.len() < FAR { 2 * eight.len() } else { NEAR }
}

/// Bytes of a word that a mask leaves where they are; the fourth is moved down instead, where it
/// has no sign. Of signed ones the top byte, to which all are moved.
type Masks = [__m256i; 3];

/// Sums of both eights of rows.
type Both = [__m256; 2];

#[target_feature(enable = "avx2,fma,f16c")]
fn line<F: Eights>(w: [&[u8]; 2], x: &[Block], sums: &mut Lanes) {
    // SAFETY: this is compiled for them.
    let on = unsafe { Avx2::new() };
    let masks = [kept(if F::WIDE { 0xFF << 24 } else { 0xFF }), kept(0xFF00), kept(0xFF_0000)];
    let ahead = ahead(w[0]);
    let w: [&[F]; 2] = [bytemuck::cast_slice(w[0]), bytemuck::cast_slice(w[1])];
    let mut acc = [_mm256_setzero_ps(); 2];
    if F::BASES * F::PARTS > 1 {
        for ((a, b), x) in w[0].iter().zip(w[1]).zip(x.chunks_exact(F::BASES * F::PARTS)) {
            let scales = [a.scales(on), b.scales(on)];
            for (base, x) in x.chunks_exact(F::PARTS).enumerate() {
                let at = F::PARTS * base;
                fetch(a, ahead, at, F::BASES * F::PARTS);
                fetch(b, ahead, at, F::BASES * F::PARTS);
                let two = [[a, b]; 2];
                let wholes = pair::<F, 0, 1>(on, &masks, two, base, [&x[0], &x[1]]);
                add::<F>(on, &scales, at, &wholes[0], &x[0], &mut acc);
                add::<F>(on, &scales, at + 1, &wholes[1], &x[1], &mut acc);
                if F::PARTS > 2 {
                    fetch(a, ahead, at + 2, F::BASES * F::PARTS);
                    fetch(b, ahead, at + 2, F::BASES * F::PARTS);
                    let wholes = pair::<F, 2, 3>(on, &masks, two, base, [&x[2], &x[3]]);
                    add::<F>(on, &scales, at + 2, &wholes[0], &x[2], &mut acc);
                    add::<F>(on, &scales, at + 3, &wholes[1], &x[3], &mut acc);
                }
            }
        }
    } else {
        let (a, a_rest) = w[0].as_chunks::<2>();
        let (b, b_rest) = w[1].as_chunks::<2>();
        let (x, x_rest) = x.as_chunks::<2>();
        for ((a, b), x) in a.iter().zip(b).zip(x) {
            fetch(a, ahead, 0, 2);
            fetch(b, ahead, 0, 2);
            let two = [[&a[0], &b[0]], [&a[1], &b[1]]];
            let wholes = pair::<F, 0, 0>(on, &masks, two, 0, [&x[0], &x[1]]);
            for i in 0..2 {
                let scales = [a[i].scales(on), b[i].scales(on)];
                add::<F>(on, &scales, 0, &wholes[i], &x[i], &mut acc);
            }
        }
        for ((a, b), x) in a_rest.iter().zip(b_rest).zip(x_rest) {
            // One of the two is the other, and is left.
            let wholes = pair::<F, 0, 0>(on, &masks, [[a, b]; 2], 0, [x; 2]);
            add::<F>(on, &[a.scales(on), b.scales(on)], 0, &wholes[0], x, &mut acc);
        }
    }
    // SAFETY: sixteen floats.
    unsafe {
        _mm256_storeu_ps(sums.0.as_mut_ptr(), acc[0]);
        _mm256_storeu_ps(sums.0.as_mut_ptr().add(8), acc[1]);
    }
}

/// A mask that stays in its register: the compiler would read it again for every word, and reading
/// is what these kernels have too much of.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn kept(mask: i32) -> __m256i {
    let mut mask = _mm256_set1_epi32(mask);
    // SAFETY: nothing is executed; what comes out is what went in.
    unsafe { asm!("/* {0} */", inout(ymm_reg) mask, options(nomem, nostack, preserves_flags)) };
    mask
}

/// The same sums, worked out after those before and before those after: the compiler would have
/// more at hand than there are registers.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn in_turn([mut a, mut b]: Both) -> Both {
    // SAFETY: nothing is executed; what comes out is what went in.
    unsafe {
        asm!("/* {0} {1} */", inout(ymm_reg) a, inout(ymm_reg) b,
            options(nomem, nostack, preserves_flags));
    }
    [a, b]
}

/// Asks for two of `of` parts of what comes `ahead` of a block: all of it at once would be more
/// than the processor asks for at a time, and it would wait.
#[inline(always)]
fn fetch<F>(w: &F, ahead: usize, part: usize, of: usize) {
    let lines = size_of::<F>().div_ceil(64);
    for line in part * lines / of..(part + 2) * lines / of {
        let line = line * 64;
        let from = std::ptr::from_ref(w).cast::<i8>().wrapping_add(ahead + line);
        // SAFETY: asking for memory has no other effect, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from) };
    }
}

/// Sums of the groups of two blocks, unscaled. Written out, because a loop that is not unrolled
/// would ask for each word where its codes are.
#[inline(always)]
fn pair<F: Eights, const A: usize, const B: usize>(
    on: Avx2,
    masks: &Masks,
    w: [[&F; 2]; 2],
    base: usize,
    x: [&Block; 2],
) -> [[Both; 2]; 2] {
    macro_rules! words {
        ($half:literal, $($k:literal)*) => {{
            // SAFETY: the machine has the instructions.
            let (mut a, mut b) = unsafe {
                ([_mm256_set1_ps(x[0].starts[$half]); 2], [_mm256_set1_ps(x[1].starts[$half]); 2])
            };
            $(
                a = word::<F, A, $k>(on, masks, w[0], base, x[0], a);
                b = word::<F, B, $k>(on, masks, w[1], base, x[1], b);
            )*
            [a, b]
        }};
    }
    if F::HALVES == 1 {
        let [a, b] = words!(0, 0 1 2 3 4 5 6 7);
        [[a; 2], [b; 2]]
    } else {
        let ([a, b], [c, d]) = (words!(0, 0 1 2 3), words!(1, 4 5 6 7));
        [[a, c], [b, d]]
    }
}

/// Adds the products of four columns, whose activations are read once for both eights of rows.
#[inline(always)]
fn word<F: Eights, const PART: usize, const K: usize>(
    on: Avx2,
    masks: &Masks,
    w: [&F; 2],
    base: usize,
    x: &Block,
    [mut a, mut b]: Both,
) -> Both {
    let (a_codes, b_codes) = (w[0].codes::<PART>(on, base, K), w[1].codes::<PART>(on, base, K));
    // SAFETY: the machine has the instructions.
    unsafe {
        for j in 0..4 {
            let x = _mm256_set1_ps(x.values[4 * K + j]);
            let (a_code, b_code) = (placed::<F>(masks, a_codes, j), placed::<F>(masks, b_codes, j));
            a = _mm256_fmadd_ps(_mm256_cvtepi32_ps(a_code), x, a);
            b = _mm256_fmadd_ps(_mm256_cvtepi32_ps(b_code), x, b);
        }
        in_turn([a, b])
    }
}

/// Byte `j` of every word, in its place.
#[inline(always)]
fn placed<F: Eights>(masks: &Masks, codes: __m256i, j: usize) -> __m256i {
    // SAFETY: as in `word`, which alone calls it.
    unsafe {
        match (F::WIDE, j) {
            (false, 3) => _mm256_srli_epi32(codes, 24),
            (false, _) => _mm256_and_si256(codes, masks[j]),
            (true, 0) => _mm256_slli_epi32(codes, 24),
            (true, 1) => _mm256_and_si256(_mm256_slli_epi32(codes, 16), masks[0]),
            (true, 2) => _mm256_and_si256(_mm256_slli_epi32(codes, 8), masks[0]),
            (true, _) => _mm256_and_si256(codes, masks[0]),
        }
    }
}

/// Adds the groups of a block to the whole.
#[inline(always)]
fn add<F: Eights>(
    on: Avx2,
    scales: &[F::Scales; 2],
    at: usize,
    wholes: &[Both; 2],
    x: &Block,
    acc: &mut Both,
) {
    for half in 0..F::HALVES {
        for i in 0..2 {
            // SAFETY: the machine has the instructions.
            unsafe {
                let scale = F::scale(on, &scales[i], at, half);
                acc[i] = _mm256_fmadd_ps(wholes[half][i], scale, acc[i]);
                if F::MINS {
                    let (min, x_sum) = (F::min(on, &scales[i], at), _mm256_set1_ps(x.sums[half]));
                    acc[i] = _mm256_fnmadd_ps(min, x_sum, acc[i]);
                }
            }
        }
    }
}
