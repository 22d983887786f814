//! AVX2 for one row of activations: blocks of eight rows as they lie arranged. Numbers are made as
//! `placed` says; where a shuffle puts those of two columns into one word, a register holds both
//! chains of four rows, else one chain of all eight.

use super::kernels::Line;
use super::placed::{ABOVE, Block, CHAINS, ORDER};
use crate::backend::cpu::matmul::eights::{self, Avx2, Eights};
use crate::backend::cpu::matmul::fast::strip::GROUP_ROWS;
use std::arch::x86_64::*;

/// The kernel for a format, on a machine that has AVX2, FMA and F16C.
pub(super) fn of(format: &str) -> Option<Line> {
    macro_rules! named {
        ($($name:literal $eights:ident $abreast:literal)*) => {
            match format {
                $($name => Some(|w, x, sums| {
                    // SAFETY: the caller vouches for the machine.
                    unsafe { line::<eights::$eights, $abreast>(w, x, sums) }
                }),)*
                _ => None,
            }
        };
    }
    // Blocks that go side by side, because the sums of one would wait for themselves: of two too
    // where numbers cost least. Elsewhere four were no faster.
    named! {
        "Q4_0" Q4_0 2 "Q5_0" Q5_0 2 "Q8_0" Q8_0 2 "MXFP4" Mxfp4 2
        "Q4_K" Q4K 4 "Q5_K" Q5K 4 "Q6_K" Q6K 2
    }
}

/// How far ahead memory is asked for: what the processor guesses ends with a page.
const AHEAD: usize = 2048;

/// Both chains of rows 0, 1, 4 and 5, and of the others; or the first and the last of all rows.
type Both = [__m256; 2];

#[target_feature(enable = "avx2,fma,f16c")]
fn line<F: Eights, const N: usize>(w: &[u8], x: &[Block], sums: &mut [f32; GROUP_ROWS]) {
    // SAFETY: this is compiled for them.
    let on = unsafe { Avx2::new() };
    let mut acc = _mm256_setzero_ps();
    let w = bytemuck::cast_slice::<u8, F>(w);
    let blocks = F::BASES * F::PARTS;
    if blocks > 1 {
        for (w, x) in w.iter().zip(x.chunks_exact(blocks)) {
            let scales = w.scales(on);
            for (step, x) in x.as_chunks::<N>().0.iter().enumerate() {
                fetch(w, step, blocks / N);
                let wholes = abreast::<F, N>(on, [w; N], N * step, x);
                for i in 0..N {
                    acc = add::<F>(on, &scales, N * step + i, &wholes[i], &x[i], acc);
                }
            }
        }
    } else {
        let ((w, w_rest), (x, x_rest)) = (w.as_chunks::<N>(), x.as_chunks::<N>());
        for (w, x) in w.iter().zip(x) {
            fetch(w, 0, 1);
            let wholes = abreast::<F, N>(on, w.each_ref(), 0, x);
            for i in 0..N {
                acc = add::<F>(on, &w[i].scales(on), 0, &wholes[i], &x[i], acc);
            }
        }
        for (w, x) in w_rest.iter().zip(x_rest) {
            let wholes = abreast::<F, 1>(on, [w], 0, &[*x]);
            acc = add::<F>(on, &w.scales(on), 0, &wholes[0], x, acc);
        }
    }
    // SAFETY: eight floats.
    unsafe { _mm256_storeu_ps(sums.as_mut_ptr(), acc) };
}

/// Asks for one of `of` parts of what comes `AHEAD`: all of it at once would be more than the
/// processor asks for at a time, and it would wait.
#[inline(always)]
pub(super) fn fetch<F>(w: &F, part: usize, of: usize) {
    let lines = size_of::<F>().div_ceil(64);
    for line in part * lines / of..(part + 1) * lines / of {
        let from = std::ptr::from_ref(w).cast::<i8>().wrapping_add(AHEAD + 64 * line);
        // SAFETY: asking for memory has no other effect, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from) };
    }
}

/// Sums of the groups of some blocks, unscaled, from the one at `at` of a base's on. Written out,
/// because a loop that is not unrolled would ask for each word where its codes are.
#[inline(always)]
fn abreast<F: Eights, const N: usize>(
    on: Avx2,
    w: [&F; N],
    at: usize,
    x: &[Block; N],
) -> [[__m256; 2]; N] {
    // SAFETY: the argument says that the machine has the instructions.
    let mut wholes = [[unsafe { _mm256_setzero_ps() }; 2]; N];
    macro_rules! words {
        ($half:literal, $($k:literal)*) => {{
            let mut both = [start::<F>(on, &x[0].starts[$half]); N];
            for i in 1..N {
                both[i] = start::<F>(on, &x[i].starts[$half]);
            }
            $(for i in 0..N {
                let base = at / F::PARTS + i / F::PARTS;
                both[i] = match (at + i) % F::PARTS {
                    0 => word::<F, 0, $k>(on, w[i], base, &x[i], both[i]),
                    1 => word::<F, 1, $k>(on, w[i], base, &x[i], both[i]),
                    2 => word::<F, 2, $k>(on, w[i], base, &x[i], both[i]),
                    _ => word::<F, 3, $k>(on, w[i], base, &x[i], both[i]),
                };
            })*
            for i in 0..N {
                wholes[i][$half] = whole::<F>(on, both[i]);
            }
        }};
    }
    if F::HALVES == 1 {
        words!(0, 0 1 2 3 4 5 6 7);
    } else {
        words!(0, 0 1 2 3);
        words!(1, 4 5 6 7);
    }
    wholes
}

/// Adds the groups of a block to the whole.
#[inline(always)]
fn add<F: Eights>(
    on: Avx2,
    scales: &F::Scales,
    at: usize,
    wholes: &[__m256; 2],
    x: &Block,
    mut acc: __m256,
) -> __m256 {
    // SAFETY: the machine has the instructions.
    unsafe {
        for (half, whole) in wholes.iter().take(F::HALVES).enumerate() {
            acc = _mm256_fmadd_ps(*whole, F::scale(on, scales, at, half), acc);
        }
        if F::MINS {
            acc = _mm256_fnmadd_ps(F::min(on, scales, at), _mm256_set1_ps(x.sums[0]), acc);
        }
        acc
    }
}

/// The same two numbers, four times.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn two(numbers: &[f32; 2]) -> __m256 {
    // SAFETY: eight bytes, which need no alignment.
    _mm256_castpd_ps(unsafe { _mm256_set1_pd(numbers.as_ptr().cast::<f64>().read_unaligned()) })
}

/// Whether words hold the numbers of two columns.
const fn in_twos<F: Eights>() -> bool {
    F::MINS || F::FLOATS
}

/// What chains start with.
#[inline(always)]
fn start<F: Eights>(_: Avx2, starts: &[f32; CHAINS]) -> Both {
    // SAFETY: as the argument says.
    unsafe {
        if in_twos::<F>() {
            [two(starts); 2]
        } else {
            [_mm256_set1_ps(starts[0]), _mm256_set1_ps(starts[1])]
        }
    }
}

/// Both chains added up.
#[inline(always)]
fn whole<F: Eights>(_: Avx2, [a, b]: Both) -> __m256 {
    // SAFETY: as the argument says.
    unsafe { if in_twos::<F>() { _mm256_hadd_ps(a, b) } else { _mm256_add_ps(a, b) } }
}

/// Adds the products of four columns.
#[inline(always)]
fn word<F: Eights, const PART: usize, const K: usize>(
    on: Avx2,
    w: &F,
    base: usize,
    x: &Block,
    [a, b]: Both,
) -> Both {
    let x = &x.values.as_chunks::<4>().0[K];
    // SAFETY: the machine has the instructions.
    unsafe {
        if in_twos::<F>() {
            let [low, high] = if F::FLOATS {
                w.floats::<PART>(on, base, K)
            } else {
                [w.raised::<PART>(on, base, K), _mm256_set1_epi8(ABOVE as i8)]
            };
            let x = [two(&[x[0], x[1]]), two(&[x[2], x[3]])];
            let a = twice::<F>(_mm256_unpacklo_epi8(low, high), x, a);
            let b = twice::<F>(_mm256_unpackhi_epi8(low, high), x, b);
            return [a, b];
        }
        let codes = w.codes::<PART>(on, base, K);
        let byte = _mm256_set1_epi32(0xFF);
        let words = if F::WIDE {
            let top = _mm256_slli_epi32(byte, 24);
            [
                _mm256_slli_epi32(codes, 24),
                _mm256_and_si256(_mm256_slli_epi32(codes, 16), top),
                _mm256_and_si256(_mm256_slli_epi32(codes, 8), top),
                _mm256_and_si256(codes, top),
            ]
        } else {
            [
                _mm256_and_si256(codes, byte),
                _mm256_and_si256(codes, _mm256_slli_epi32(byte, 8)),
                _mm256_and_si256(codes, _mm256_slli_epi32(byte, 16)),
                _mm256_srli_epi32(codes, 24),
            ]
        };
        let product = |j: usize, sum| {
            _mm256_fmadd_ps(_mm256_cvtepi32_ps(words[j]), _mm256_set1_ps(x[ORDER[j]]), sum)
        };
        [product(1, product(0, a)), product(3, product(2, b))]
    }
}

/// Adds the products of two columns, whose numbers are the halves of words.
#[inline(always)]
fn twice<F: Eights>(words: __m256i, [firsts, seconds]: [__m256; 2], sum: __m256) -> __m256 {
    // SAFETY: `word` alone calls it.
    unsafe {
        let first = _mm256_castsi256_ps(_mm256_slli_epi32(words, 16));
        // What is below the upper half is made up for, or no part of the number.
        let second = match F::FLOATS {
            true => _mm256_and_si256(words, _mm256_set1_epi32(0xFFFF << 16)),
            false => words,
        };
        let sum = _mm256_fmadd_ps(first, firsts, sum);
        _mm256_fmadd_ps(_mm256_castsi256_ps(second), seconds, sum)
    }
}
