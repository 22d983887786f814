//! One activation row, AVX2: matrix rows are decoded in registers and multiplied at once, so that
//! a token costs one pass over the blocks of a matrix. For the formats that models mostly hold;
//! the values are those of the decoders in `quant`, to the bit.
//!
//! Four matrix rows at a time, because the eight sums of fewer would wait for each other. They are
//! written out by macros: a closure that goes through a function of the standard library is
//! compiled without these instructions, and then called for every few numbers.

#![allow(non_snake_case)] // a kernel has the name of its format

use super::super::tree::Lanes;
use super::unpack::*;
use super::{Line, TILE};
use crate::quant::{mxfp4, q4_0, q4_k, q5_0, q6_k, q8_0};
use std::arch::asm;
use std::arch::x86_64::*;

/// A kernel from what a part of a block gives: `take(i, values)` for every eight of its elements,
/// in order. After the format's name stand its block, elements of a part, parts of a block, and how
/// many rows are multiplied at a time: four keep the memory busier, two leave more registers to
/// constants. Then what is worked out once a block, and what a part gives.
macro_rules! lines {
    ($($name:ident: $block:ty, $len:literal, $parts:literal, $rows:tt, $prepare:path,
        |$b:ident, $prepared:ident, $part:ident, $take:ident| $body:block)*) => {$(
        #[target_feature(enable = "avx2,fma,f16c")]
        fn $name(w: &[&[u8]; TILE], x: &[f32], sums: &mut [Lanes; TILE]) {
            let x = x.as_chunks::<$len>().0.as_chunks::<$parts>().0;
            rows!($rows, $block, $prepare, w, x, sums, $b, $prepared, $part, $take, $body);
        }
    )*
        /// The kernel for a format, on a machine that has AVX2, FMA and F16C.
        pub(in super::super) fn of(format: &str) -> Option<Line> {
            $(if format == stringify!($name) {
                // SAFETY: the caller vouches for the machine.
                return Some(|w, x, sums| unsafe { $name(w, x, sums) });
            })*
            None
        }
    };
}

/// All four rows, so many at a time.
macro_rules! rows {
    (4, $($all:tt)*) => { together!([(w0 b0 p0 sums0 0) (w1 b1 p1 sums1 1) (w2 b2 p2 sums2 2)
        (w3 b3 p3 sums3 3)], 0, $($all)*); };
    (2, $($all:tt)*) => {
        together!([(w0 b0 p0 sums0 0) (w1 b1 p1 sums1 1)], 0, $($all)*);
        together!([(w0 b0 p0 sums0 0) (w1 b1 p1 sums1 1)], 2, $($all)*);
    };
}

/// Some rows from `first` on; a row's names are given: blocks, block, what was worked out, sums.
macro_rules! together {
    ([$(($row:ident $block:ident $worked_out:ident $own:ident $r:literal))*], $first:literal,
        $type:ty, $prepare:path, $w:ident, $x:ident, $sums:ident,
        $b:ident, $prepared:ident, $part:ident, $take:ident, $body:block) => {{
        $(let $row = blocks::<$type>($w[$first + $r], $x.len());
        let mut $own = [_mm256_setzero_ps(); 2];)*
        let ahead = TILE * $w[0].len();
        for (at, x) in $x.iter().enumerate() {
            $(let $block = &$row[at];
            let $worked_out = $prepare($block);
            fetch($block, ahead);)*
            for ($part, x) in x.iter().enumerate() {
                $({
                    let ($b, $prepared) = ($block, $worked_out);
                    let x = in_memory(x).as_chunks::<8>().0;
                    let mut $take = |i: usize, values: __m256| {
                        // SAFETY: eight floats.
                        let x = unsafe { _mm256_loadu_ps(x[i].as_ptr()) };
                        $own[i % 2] = _mm256_fmadd_ps(values, x, $own[i % 2]);
                    };
                    $body
                })*
            }
        }
        $(put(&mut $sums[$first + $r], $own);)*
    }};
}

lines! {
    F32: [[u8; 4]; 16], 16, 1, 4, nothing, |block, _none, _part, take| {
        let eights = block.as_chunks::<8>().0;
        // SAFETY: 32 bytes.
        take(0, unsafe { _mm256_loadu_ps(eights[0].as_ptr().cast()) });
        // SAFETY: as above.
        take(1, unsafe { _mm256_loadu_ps(eights[1].as_ptr().cast()) });
    }
    F16: [[u8; 2]; 16], 16, 1, 4, nothing, |block, _none, _part, take| {
        let eights = block.as_chunks::<8>().0;
        // SAFETY: 16 bytes.
        take(0, _mm256_cvtph_ps(unsafe { _mm_loadu_si128(eights[0].as_ptr().cast()) }));
        // SAFETY: as above.
        take(1, _mm256_cvtph_ps(unsafe { _mm_loadu_si128(eights[1].as_ptr().cast()) }));
    }
    BF16: [[u8; 2]; 16], 16, 1, 4, nothing, |block, _none, _part, take| {
        let eights = block.as_chunks::<8>().0;
        take(0, upper_halves(&eights[0]));
        take(1, upper_halves(&eights[1]));
    }
    Q8_0: q8_0::Block, 32, 1, 2, nothing, |block, _none, _part, take| {
        let d = _mm256_mul_ps(halfs(block.d), _mm256_set1_ps(POWER_24));
        let qs: &[[u8; 16]; 2] = bytemuck::cast_ref(&block.qs);
        let (first, last) = (tops(table(&qs[0])), tops(table(&qs[1])));
        take(0, _mm256_mul_ps(_mm256_cvtepi32_ps(first[0]), d));
        take(1, _mm256_mul_ps(_mm256_cvtepi32_ps(first[1]), d));
        take(2, _mm256_mul_ps(_mm256_cvtepi32_ps(last[0]), d));
        take(3, _mm256_mul_ps(_mm256_cvtepi32_ps(last[1]), d));
    }
    Q4_0: q4_0::Block, 32, 1, 2, nothing, |block, _none, _part, take| {
        let d = halfs(block.d);
        let zero = _mm256_mul_ps(d, _mm256_set1_ps(-(ABOVE + 8.0)));
        let [a, b, c, e] = above(interleaved(&block.qs));
        take(0, _mm256_fmadd_ps(a, d, zero));
        take(1, _mm256_fmadd_ps(b, d, zero));
        take(2, _mm256_fmadd_ps(c, d, zero));
        take(3, _mm256_fmadd_ps(e, d, zero));
    }
    Q5_0: q5_0::Block, 32, 1, 2, nothing, |block, _none, _part, take| {
        let d = halfs(block.d);
        let zero = _mm256_mul_ps(d, _mm256_set1_ps(-(ABOVE + 16.0)));
        let codes = _mm256_or_si256(interleaved(&block.qs), interleaved_fifths(block.qh));
        let [a, b, c, e] = above(codes);
        take(0, _mm256_fmadd_ps(a, d, zero));
        take(1, _mm256_fmadd_ps(b, d, zero));
        take(2, _mm256_fmadd_ps(c, d, zero));
        take(3, _mm256_fmadd_ps(e, d, zero));
    }
    MXFP4: mxfp4::Block, 32, 1, 2, nothing, |block, _none, _part, take| {
        let [low, high] = &UPPER[usize::from(block.e)];
        let codes = interleaved(&block.qs);
        let low = _mm256_shuffle_epi8(table(low), codes);
        let high = _mm256_shuffle_epi8(table(high), codes);
        let [a, b, c, e] = upper_bytes(low, high);
        take(0, a);
        take(1, b);
        take(2, c);
        take(3, e);
    }
    Q4_K: q4_k::Block, 64, 4, 2, q4_k_lines, |block, lines, part, take| {
        let qs = block.qs.as_chunks::<16>().0.as_chunks::<2>().0;
        let (first, last) = (bottoms(table(&qs[part][0])), bottoms(table(&qs[part][1])));
        let (low, high) = (_mm256_set1_epi32(0x0F), _mm256_set1_epi32(0xF0));
        let (scales, mins) = &lines;
        let scale = _mm256_set1_ps(scales[2 * part]);
        let min = _mm256_set1_ps(mins[2 * part]);
        // The product is exact, so this rounds as the decoder does.
        let line = |codes, scale, min| _mm256_fmsub_ps(_mm256_cvtepi32_ps(codes), scale, min);
        take(0, line(_mm256_and_si256(first[0], low), scale, min));
        take(1, line(_mm256_and_si256(first[1], low), scale, min));
        take(2, line(_mm256_and_si256(last[0], low), scale, min));
        take(3, line(_mm256_and_si256(last[1], low), scale, min));
        let scale = _mm256_set1_ps(scales[2 * part + 1]);
        let min = _mm256_set1_ps(mins[2 * part + 1]);
        take(4, line(_mm256_and_si256(first[0], high), scale, min));
        take(5, line(_mm256_and_si256(first[1], high), scale, min));
        take(6, line(_mm256_and_si256(last[0], high), scale, min));
        take(7, line(_mm256_and_si256(last[1], high), scale, min));
    }
    Q6_K: q6_k::Block, 128, 2, 2, q6_k_scales, |block, scales, part, take| {
        let ql = block.ql.as_chunks::<32>().0.as_chunks::<2>().0;
        let (a, b) = (in_order(&ql[part][0]), in_order(&ql[part][1]));
        // A code less 32 is the same code in two's complement, but for the top bit.
        let qh = in_order(&block.qh.as_chunks::<32>().0[part]);
        let qh = _mm256_xor_si256(qh, _mm256_set1_epi8(0xAA_u8 as i8));
        let (low, top) = (_mm256_set1_epi8(0x3C), _mm256_set1_epi8(0xC0_u8 as i8));
        let scales = &scales[8 * part..][..8];
        let mut quarter = |at: usize, ql, qh| {
            let codes = _mm256_or_si256(_mm256_and_si256(ql, low), _mm256_and_si256(qh, top));
            let codes = all_tops(codes);
            let scale = _mm256_set1_ps(scales[2 * at]);
            take(4 * at, _mm256_mul_ps(_mm256_cvtepi32_ps(codes[0]), scale));
            take(4 * at + 1, _mm256_mul_ps(_mm256_cvtepi32_ps(codes[1]), scale));
            let scale = _mm256_set1_ps(scales[2 * at + 1]);
            take(4 * at + 2, _mm256_mul_ps(_mm256_cvtepi32_ps(codes[2]), scale));
            take(4 * at + 3, _mm256_mul_ps(_mm256_cvtepi32_ps(codes[3]), scale));
        };
        quarter(0, _mm256_slli_epi16(a, 2), _mm256_slli_epi16(qh, 6));
        quarter(1, _mm256_slli_epi16(b, 2), _mm256_slli_epi16(qh, 4));
        quarter(2, _mm256_srli_epi16(a, 2), _mm256_slli_epi16(qh, 2));
        quarter(3, _mm256_srli_epi16(b, 2), qh);
    }
}

/// The first blocks of a row.
#[inline]
fn blocks<B: bytemuck::Pod>(row: &[u8], n: usize) -> &[B] {
    &bytemuck::cast_slice(row)[..n]
}

/// The same numbers, which the compiler cannot know to be the same: it would keep them in registers
/// from row to row and the sums, which every step waits for, in memory.
#[inline]
fn in_memory<const N: usize>(x: &[f32; N]) -> &[f32; N] {
    let mut at = std::ptr::from_ref(x);
    // SAFETY: nothing is executed; what comes out is what went in.
    unsafe {
        asm!("/* {0} */", inout(reg) at, options(readonly, nostack, preserves_flags));
        &*at
    }
}

/// What a format needs once a block that has nothing to work out.
#[inline]
fn nothing<B>(_: &B) {}

/// Asks for memory so far behind a block: what is multiplied after this tile.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn fetch<B>(block: &B, distance: usize) {
    let from = std::ptr::from_ref(block).cast::<i8>().wrapping_add(distance);
    for line in (0..size_of::<B>()).step_by(64) {
        _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(line));
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn put(sums: &mut Lanes, all: [__m256; 2]) {
    // SAFETY: sixteen floats.
    unsafe {
        _mm256_storeu_ps(sums.0.as_mut_ptr(), all[0]);
        _mm256_storeu_ps(sums.0.as_mut_ptr().add(8), all[1]);
    }
}

/// Scales and minima of a Q4_K block. Every second scale is a sixteenth, because its codes stay in
/// the upper halves of their bytes: a power of two, so nothing is rounded.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn q4_k_lines(block: &q4_k::Block) -> ([f32; 8], [f32; 8]) {
    const SHARE: f32 = 1.0 / 16.0;
    let share = _mm256_setr_ps(1.0, SHARE, 1.0, SHARE, 1.0, SHARE, 1.0, SHARE);
    let [scales, mins] = six_bits(&block.scales);
    let d = _mm256_mul_ps(halfs(block.d), share);
    (numbers(_mm256_mul_ps(d, scales)), numbers(_mm256_mul_ps(halfs(block.dmin), mins)))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn q6_k_scales(block: &q6_k::Block) -> [f32; 16] {
    let d = _mm256_mul_ps(halfs(block.d), _mm256_set1_ps(POWER_26));
    let [first, last] = bytemuck::cast::<[i8; 16], [i64; 2]>(block.scales);
    let first = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_cvtsi64_si128(first)));
    let last = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_cvtsi64_si128(last)));
    bytemuck::cast([numbers(_mm256_mul_ps(d, first)), numbers(_mm256_mul_ps(d, last))])
}

/// What a code that stands in the top bits of a word is too large by, undone in its scale: a power
/// of two, and a 16-bit scale is far from the smallest of 32 bits, so nothing is rounded.
const POWER_24: f32 = 1.0 / (1 << 24) as f32;
const POWER_26: f32 = 1.0 / (1 << 26) as f32;

/// Bytes 2 and 3 of the values of all sixteen MXFP4 codes under each scale byte; the others are 0.
static UPPER: [[[u8; 16]; 2]; 256] = {
    let mut upper = [[[0; 16]; 2]; 256];
    let mut i = 0;
    while i < 16 * 256 {
        let bits = mxfp4::bits((i / 16) as u8, (i % 16) as u8);
        assert!(bits << 16 == 0);
        upper[i / 16][0][i % 16] = (bits >> 16) as u8;
        upper[i / 16][1][i % 16] = (bits >> 24) as u8;
        i += 1;
    }
    upper
};
