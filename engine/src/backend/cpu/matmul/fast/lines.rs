//! AVX2 for one row of activations: blocks are multiplied where they lie, because what costs then
//! is reading them once, and a token is worth no rearranging. For the formats that models mostly
//! hold; the sums are those of `kernels`, to the bit, as whole numbers have no order.
//!
//! Of eight matrix rows, row r and row r + 4 share a register, half each. Neighbouring products are
//! added up until a half holds one sum of each of four rows, in order: with 16 bits for as long as
//! the sums fit them.

use super::codes::E2M1;
use super::kernels::Line;
use super::rounded::{Block, Row};
use super::strip::GROUP_ROWS;
use crate::backend::cpu::matmul::kernels::unpack::{table, whole_halfs};
use crate::quant::{mxfp4, q4_0, q4_k, q5_0, q6_k, q8_0};
use std::arch::x86_64::*;

/// Half of the rows: those that a register's lower half is for.
const HALF: usize = GROUP_ROWS / 2;

/// The kernel for a format, on a machine that has AVX2, FMA and F16C.
pub(super) fn of(format: &str) -> Option<Line> {
    macro_rules! named {
        ($($name:literal $kernel:ident)*) => {
            match format {
                // SAFETY: the caller vouches for the machine.
                $($name => Some(|w, x, sums| unsafe { $kernel(w, x, sums) }),)*
                _ => None,
            }
        };
    }
    named!("Q4_0" q4_0 "Q5_0" q5_0 "Q8_0" q8_0 "MXFP4" mxfp4 "Q4_K" q4_k "Q6_K" q6_k)
}

/// A kernel from what it does with a block of every row, and the activations beside it.
macro_rules! line {
    ($name:ident: $block:ty, $n_x:literal, |$w:ident, $x:ident, $acc:ident| $body:block) => {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn $name(w: &[&[u8]; GROUP_ROWS], x: &Row, sums: &mut [f32; GROUP_ROWS]) {
            // A loop, because a closure that goes through the standard library is called.
            let mut rows: [&[$block]; GROUP_ROWS] = [&[]; GROUP_ROWS];
            for (row, bytes) in rows.iter_mut().zip(w) {
                *row = bytemuck::cast_slice(bytes);
            }
            let x = x.blocks.as_chunks::<$n_x>().0;
            let n = rows.iter().fold(x.len(), |n, row| n.min(row.len()));
            let ahead = GROUP_ROWS * w[0].len();
            let mut $acc = _mm256_setzero_ps();
            for (b, $x) in x[..n].iter().enumerate() {
                // SAFETY: no row has fewer than n blocks.
                let $w = rows.map(|row| unsafe { row.get_unchecked(b) });
                $w.iter().for_each(|block| fetch(*block, ahead));
                $body
            }
            // SAFETY: eight floats.
            unsafe { _mm256_storeu_ps(sums.as_mut_ptr(), $acc) };
        }
    };
}

/// A function of the rows r and r + 4 for every r. Not a closure: what is inlined here, and what is
/// called with sums in memory, decides the speed.
macro_rules! halves {
    ($name:ident $(<$q:ident>)? ($($argument:expr),*)) => {
        [$name $(::<$q>)? (0, $($argument),*), $name $(::<$q>)? (1, $($argument),*),
         $name $(::<$q>)? (2, $($argument),*), $name $(::<$q>)? (3, $($argument),*)]
    };
}

/// The scales of eight blocks, as they are stored.
macro_rules! d {
    ($w:ident) => {
        [$w[0].d, $w[1].d, $w[2].d, $w[3].d, $w[4].d, $w[5].d, $w[6].d, $w[7].d]
    };
}

line! { q4_0: q4_0::Block, 1, |w, x, acc| {
    let sums = halves!(nibbles(&w, &x[0]));
    acc = add(fold_small(sums), whole_halfs(d!(w)), &x[0], 0, acc);
} }

line! { q5_0: q5_0::Block, 1, |w, x, acc| {
    let sums = halves!(nibbles_and_fifths(&w, &x[0]));
    acc = add(fold(sums), whole_halfs(d!(w)), &x[0], 0, acc);
} }

line! { mxfp4: mxfp4::Block, 1, |w, x, acc| {
    let sums = halves!(values(&w, &x[0]));
    let scale = |row: usize| mxfp4::VALUES[usize::from(w[row].e)][1];
    let last = _mm_set_ps(scale(7), scale(6), scale(5), scale(4));
    let scales = _mm256_set_m128(last, _mm_set_ps(scale(3), scale(2), scale(1), scale(0)));
    acc = add(fold(sums), scales, &x[0], 0, acc);
} }

line! { q8_0: q8_0::Block, 1, |w, x, acc| {
    let sums = halves!(bytes(&w, &x[0]));
    acc = add(fold_wide(sums), whole_halfs(d!(w)), &x[0], 0, acc);
} }

line! { q4_k: q4_k::Block, 8, |w, x, acc| {
    let (scales, mins) = q4_k_scales(&w);
    for (pair, x) in x.as_chunks::<2>().0.iter().enumerate() {
        let [a, b, c, d] = halves!(pair_of_nibbles(&w, pair, x));
        for (sub, x) in x.iter().enumerate() {
            let sums = [a[sub], b[sub], c[sub], d[sub]];
            acc = add(fold_small(sums), eight(&scales[2 * pair + sub]), x, 0, acc);
            let min = eight(&mins[2 * pair + sub]);
            acc = _mm256_fnmadd_ps(min, _mm256_set1_ps(x.sums[0]), acc);
        }
    }
} }

line! { q6_k: q6_k::Block, 8, |w, x, acc| {
    let scales = q6_k_scales(&w);
    for (part, (x, scales)) in x.as_chunks::<4>().0.iter().zip(&scales).enumerate() {
        acc = quarter::<0>(&w, part, &x[0], &scales[0], acc);
        acc = quarter::<1>(&w, part, &x[1], &scales[1], acc);
        acc = quarter::<2>(&w, part, &x[2], &scales[2], acc);
        acc = quarter::<3>(&w, part, &x[3], &scales[3], acc);
    }
} }

/// What an eighth of a Q6_K block adds: 32 columns under two scales.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn quarter<const Q: usize>(
    w: &[&q6_k::Block; GROUP_ROWS],
    part: usize,
    x: &Block,
    scales: &[[f32; GROUP_ROWS]; 2],
    sums: __m256,
) -> __m256 {
    let [first, last] = twice(x);
    let low = fold(halves!(sixteen<Q>(w, 2 * part, first)));
    let high = fold(halves!(sixteen<Q>(w, 2 * part + 1, last)));
    let sums = add(low, eight(&scales[0]), x, 0, sums);
    add(high, eight(&scales[1]), x, 1, sums)
}

/// Asks for memory so far behind a block: what is multiplied after these rows.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn fetch<B>(block: &B, distance: usize) {
    let from = std::ptr::from_ref(block).cast::<i8>().wrapping_add(distance);
    for line in (0..size_of::<B>()).step_by(64) {
        _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(line));
    }
}

/// Sixteen bytes of two rows.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn two(first: &[u8; 16], second: &[u8; 16]) -> __m256i {
    // SAFETY: sixteen bytes each.
    unsafe {
        let (low, high) = (first.as_ptr().cast(), second.as_ptr().cast());
        _mm256_inserti128_si256(
            _mm256_castsi128_si256(_mm_loadu_si128(low)),
            _mm_loadu_si128(high),
            1,
        )
    }
}

/// Codes of a block of activations, the first sixteen twice and the last sixteen twice.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn twice(x: &Block) -> [__m256i; 2] {
    let codes: &[[u8; 16]; 2] = bytemuck::cast_ref(&x.codes);
    codes.each_ref().map(|codes| table(codes))
}

/// Four sums of row r and four of row r + 4, for each format.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn nibbles(r: usize, w: &[&q4_0::Block; GROUP_ROWS], x: &Block) -> __m256i {
    let (codes, mask) = (two(&w[r].qs, &w[r + HALF].qs), _mm256_set1_epi8(15));
    let high = _mm256_and_si256(_mm256_srli_epi16(codes, 4), mask);
    products(_mm256_and_si256(codes, mask), high, twice(x))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn nibbles_and_fifths(r: usize, w: &[&q5_0::Block; GROUP_ROWS], x: &Block) -> __m256i {
    let (codes, mask) = (two(&w[r].qs, &w[r + HALF].qs), _mm256_set1_epi8(15));
    let fifths = two_words(w[r].qh, w[r + HALF].qh);
    let low = _mm256_or_si256(_mm256_and_si256(codes, mask), fifth(fifths, 0));
    let high = _mm256_and_si256(_mm256_srli_epi16(codes, 4), mask);
    products(low, _mm256_or_si256(high, fifth(fifths, 2)), twice(x))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn values(r: usize, w: &[&mxfp4::Block; GROUP_ROWS], x: &Block) -> __m256i {
    let (codes, mask) = (two(&w[r].qs, &w[r + HALF].qs), _mm256_set1_epi8(15));
    let (low, high) = (_mm256_and_si256(codes, mask), _mm256_srli_epi16(codes, 4));
    let value = table(&E2M1);
    let high = _mm256_shuffle_epi8(value, _mm256_and_si256(high, mask));
    products(_mm256_shuffle_epi8(value, low), high, twice(x))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn bytes(r: usize, w: &[&q8_0::Block; GROUP_ROWS], x: &Block) -> __m256i {
    let ([a, b], [c, d]) = (sixteens(&w[r].qs), sixteens(&w[r + HALF].qs));
    let [first, last] = twice(x);
    _mm256_add_epi32(signed_products(two(a, c), first), signed_products(two(b, d), last))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn pair_of_nibbles(
    r: usize,
    w: &[&q4_k::Block; GROUP_ROWS],
    pair: usize,
    x: &[Block; 2],
) -> [__m256i; 2] {
    let (mine, other) = (w[r].qs.as_chunks::<16>().0, w[r + HALF].qs.as_chunks::<16>().0);
    let first = two(&mine[2 * pair], &other[2 * pair]);
    let last = two(&mine[2 * pair + 1], &other[2 * pair + 1]);
    let mask = _mm256_set1_epi8(15);
    let low = (_mm256_and_si256(first, mask), _mm256_and_si256(last, mask));
    let (first, last) = (_mm256_srli_epi16(first, 4), _mm256_srli_epi16(last, 4));
    let high = (_mm256_and_si256(first, mask), _mm256_and_si256(last, mask));
    [products(low.0, low.1, twice(&x[0])), products(high.0, high.1, twice(&x[1]))]
}

/// Sixteen columns of a quarter of the 128 that lie together, which two halves of are counted.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn sixteen<const Q: usize>(
    r: usize,
    w: &[&q6_k::Block; GROUP_ROWS],
    half: usize,
    x: __m256i,
) -> __m256i {
    let place = 4 * (half / 2) + 2 * (Q % 2) + half % 2;
    let (mine, other) = (w[r].ql.as_chunks::<16>().0, w[r + HALF].ql.as_chunks::<16>().0);
    let ql = two(&mine[place], &other[place]);
    let (mine, other) = (w[r].qh.as_chunks::<16>().0, w[r + HALF].qh.as_chunks::<16>().0);
    let qh = two(&mine[half], &other[half]);
    let low = if Q < 2 { ql } else { _mm256_srli_epi16(ql, 4) };
    let high = match Q {
        0 => _mm256_slli_epi16(qh, 4),
        1 => _mm256_slli_epi16(qh, 2),
        2 => qh,
        _ => _mm256_srli_epi16(qh, 2),
    };
    let low = _mm256_and_si256(low, _mm256_set1_epi8(15));
    let codes = _mm256_or_si256(low, _mm256_and_si256(high, _mm256_set1_epi8(0x30)));
    _mm256_madd_epi16(_mm256_maddubs_epi16(codes, x), _mm256_set1_epi16(1))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn signed_products(codes: __m256i, x: __m256i) -> __m256i {
    // The sign moves over, because one factor must have none.
    let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(codes), _mm256_sign_epi8(x, codes));
    _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))
}

#[inline]
fn sixteens(bytes: &[i8; 32]) -> [&[u8; 16]; 2] {
    let halves: &[[u8; 16]; 2] = bytemuck::cast_ref(bytes);
    halves.each_ref()
}

/// Sums of eight products each, four of a row and four of another: codes of columns 0–15 are `low`,
/// of columns 16–31 `high`, and all are at most 31.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn products(low: __m256i, high: __m256i, [first, last]: [__m256i; 2]) -> __m256i {
    let fours =
        _mm256_add_epi16(_mm256_maddubs_epi16(low, first), _mm256_maddubs_epi16(high, last));
    _mm256_madd_epi16(fours, _mm256_set1_epi16(1))
}

/// Neighbours of two registers added up: those of the first, then those of the second, in each
/// half. All fit 16 bits.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn neighbours(first: __m256i, second: __m256i) -> __m256i {
    _mm256_madd_epi16(_mm256_packs_epi32(first, second), _mm256_set1_epi16(1))
}

/// The sums of eight rows, in order; sums of half a row fit 16 bits.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn fold_small([a, b, c, d]: [__m256i; HALF]) -> __m256i {
    neighbours(neighbours(a, b), neighbours(c, d))
}

/// The same, where sums of a quarter of a row fit.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn fold([a, b, c, d]: [__m256i; HALF]) -> __m256i {
    _mm256_hadd_epi32(neighbours(a, b), neighbours(c, d))
}

/// The same, where none fit.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn fold_wide([a, b, c, d]: [__m256i; HALF]) -> __m256i {
    _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d))
}

/// Adds a group's products to eight sums.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn add(whole: __m256i, scales: __m256, x: &Block, half: usize, sums: __m256) -> __m256 {
    let whole = _mm256_add_epi32(whole, _mm256_set1_epi32(x.offsets[half]));
    let scale = _mm256_mul_ps(scales, _mm256_set1_ps(x.scale));
    _mm256_fmadd_ps(_mm256_cvtepi32_ps(whole), scale, sums)
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn eight(values: &[f32; GROUP_ROWS]) -> __m256 {
    // SAFETY: eight floats.
    unsafe { _mm256_loadu_ps(values.as_ptr()) }
}

/// A word of two rows, in every place of their halves.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn two_words(first: [u8; 4], second: [u8; 4]) -> __m256i {
    let [first, second] = [first, second].map(|word| _mm_set1_epi32(i32::from_le_bytes(word)));
    _mm256_inserti128_si256(_mm256_castsi128_si256(first), second, 1)
}

/// Bits of each half's words from byte `byte` on, in the fifth place of sixteen bytes.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn fifth(words: __m256i, byte: i64) -> __m256i {
    let each = 0x0101_0101_0101_0101;
    let (first, last) = (byte * each, (byte + 1) * each);
    let own = _mm256_shuffle_epi8(words, _mm256_set_epi64x(last, first, last, first));
    let bits = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64 as i64);
    let set = _mm256_cmpeq_epi8(_mm256_and_si256(own, bits), bits);
    _mm256_and_si256(set, _mm256_set1_epi8(16))
}

/// Sixteen bytes of every row as four words of every row.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn columns(bytes: [&[u8; 16]; GROUP_ROWS]) -> [__m256i; 4] {
    let (a, b) = (two(bytes[0], bytes[4]), two(bytes[1], bytes[5]));
    let (c, d) = (two(bytes[2], bytes[6]), two(bytes[3], bytes[7]));
    let (ab, cd) = (_mm256_unpacklo_epi32(a, b), _mm256_unpacklo_epi32(c, d));
    let (ab_high, cd_high) = (_mm256_unpackhi_epi32(a, b), _mm256_unpackhi_epi32(c, d));
    [
        _mm256_unpacklo_epi64(ab, cd),
        _mm256_unpackhi_epi64(ab, cd),
        _mm256_unpacklo_epi64(ab_high, cd_high),
        _mm256_unpackhi_epi64(ab_high, cd_high),
    ]
}

type Eights<const N: usize> = [[f32; GROUP_ROWS]; N];

/// Scales and minima of eight blocks' groups.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn q4_k_scales(w: &[&q4_k::Block; GROUP_ROWS]) -> (Eights<8>, Eights<8>) {
    // The first word is scale and minimum, which `whole_halfs` reads.
    let heads = w.map(|block| &bytemuck::cast_ref::<q4_k::Block, [[u8; 16]; 9]>(block)[0]);
    let [_, scales, mins, lows] = columns(heads);
    let (six, four) = (_mm256_set1_epi8(0x3F), _mm256_set1_epi8(0x0F));
    let top = _mm256_set1_epi8(0x30);
    let top_scales = _mm256_and_si256(_mm256_srli_epi16(scales, 2), top);
    let top_mins = _mm256_and_si256(_mm256_srli_epi16(mins, 2), top);
    let late_scales = _mm256_or_si256(_mm256_and_si256(lows, four), top_scales);
    let late_mins = _mm256_and_si256(_mm256_srli_epi16(lows, 4), four);
    let late_mins = _mm256_or_si256(late_mins, top_mins);
    let d = whole_halfs(d!(w));
    let dmin = whole_halfs(w.map(|block| block.dmin));
    let (mut all, mut all_mins) = ([[[0.0; GROUP_ROWS]; 4]; 2], [[[0.0; GROUP_ROWS]; 4]; 2]);
    scaled(_mm256_and_si256(scales, six), d, &mut all[0]);
    scaled(late_scales, d, &mut all[1]);
    scaled(_mm256_and_si256(mins, six), dmin, &mut all_mins[0]);
    scaled(late_mins, dmin, &mut all_mins[1]);
    (bytemuck::cast(all), bytemuck::cast(all_mins))
}

/// Scales of eight blocks' groups: `[half of a block][quarter][half of the quarter]`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn q6_k_scales(w: &[&q6_k::Block; GROUP_ROWS]) -> [[Eights<2>; 4]; 2] {
    let words = columns(w.map(|block| bytemuck::cast_ref(&block.scales)));
    let d = whole_halfs(d!(w));
    let mut all = [[0.0; GROUP_ROWS]; 16];
    for (words, four) in words.into_iter().zip(all.as_chunks_mut::<4>().0) {
        scaled(words, d, four);
    }
    bytemuck::cast(all)
}

/// The four signed bytes of each word times a row's scale.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn scaled(words: __m256i, d: __m256, out: &mut Eights<4>) {
    let bytes = [
        _mm256_slli_epi32(words, 24),
        _mm256_slli_epi32(words, 16),
        _mm256_slli_epi32(words, 8),
        words,
    ];
    for (out, bytes) in out.iter_mut().zip(bytes) {
        let number = _mm256_cvtepi32_ps(_mm256_srai_epi32(bytes, 24));
        // SAFETY: eight floats.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), _mm256_mul_ps(d, number)) };
    }
}
