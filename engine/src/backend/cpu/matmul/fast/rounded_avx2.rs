//! The rounding of activations for AVX2: `rounded::round` to the bit.

use super::rounded::{Block, EMPTY, special};
use super::strip::BLOCK;
use std::arch::x86_64::*;

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn round(x: &[f32; BLOCK], halves: usize, zero: i32) -> Block {
    let x = x.as_chunks::<8>().0;
    let (a, b) = (eight(&x[0]), eight(&x[1]));
    let (c, d) = (eight(&x[2]), eight(&x[3]));
    let largest = largest(a, b, c, d);
    let mut block = match special(largest) {
        Some(block) => return block,
        None => EMPTY,
    };
    let inverse = _mm256_set1_ps(127.0 / largest);
    let (a_codes, b_codes) = (rounded(a, inverse), rounded(b, inverse));
    let (c_codes, d_codes) = (rounded(c, inverse), rounded(d, inverse));
    let mut lanes = _mm256_add_ps(_mm256_setzero_ps(), product(a, a_codes));
    lanes = _mm256_add_ps(lanes, product(b, b_codes));
    lanes = _mm256_add_ps(lanes, product(c, c_codes));
    lanes = _mm256_add_ps(lanes, product(d, d_codes));
    let first = _mm256_packs_epi32(a_codes, b_codes);
    let last = _mm256_packs_epi32(c_codes, d_codes);
    let squares = _mm256_add_epi32(_mm256_madd_epi16(first, first), _mm256_madd_epi16(last, last));
    block.scale = sum(lanes) / total(squares) as f32;
    // Packing goes by halves, so fours of codes come out of order.
    let codes = _mm256_permutevar8x32_epi32(
        _mm256_packs_epi16(first, last),
        _mm256_set_epi32(7, 3, 6, 2, 5, 1, 4, 0),
    );
    // SAFETY: 32 bytes.
    unsafe { _mm256_storeu_si256(block.codes.as_mut_ptr().cast(), codes) };
    block.finish(pairs(codes, halves), zero);
    block
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn eight(x: &[f32; 8]) -> __m256 {
    // SAFETY: eight floats.
    unsafe { _mm256_loadu_ps(x.as_ptr()) }
}

/// The largest magnitude, NaN beyond infinity.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn largest(a: __m256, b: __m256, c: __m256, d: __m256) -> f32 {
    let two = |a: __m256, b: __m256| {
        let mask = _mm256_set1_epi32(0x7FFF_FFFF);
        let (a, b) = (_mm256_castps_si256(a), _mm256_castps_si256(b));
        _mm256_max_epu32(_mm256_and_si256(a, mask), _mm256_and_si256(b, mask))
    };
    let all = _mm256_max_epu32(two(a, b), two(c, d));
    let four = _mm_max_epu32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
    let two = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0b00_00_11_10));
    let one = _mm_max_epu32(two, _mm_shuffle_epi32(two, 0b00_00_00_01));
    f32::from_bits(_mm_cvtsi128_si32(one) as u32)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn rounded(x: __m256, inverse: __m256) -> __m256i {
    _mm256_cvtps_epi32(_mm256_mul_ps(x, inverse))
}

/// Rounded by itself, as `rounded::fitted` does it.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn product(x: __m256, codes: __m256i) -> __m256 {
    _mm256_mul_ps(x, _mm256_cvtepi32_ps(codes))
}

/// In the order of `rounded::fitted`.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn sum(lanes: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps(lanes, 1));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn total(numbers: __m256i) -> i32 {
    let four = _mm_add_epi32(_mm256_castsi256_si128(numbers), _mm256_extracti128_si256(numbers, 1));
    let two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0b00_00_11_10));
    _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0b00_00_00_01)))
}

/// Sums of the first two and of the last two of every four codes, of each half, or of both in the
/// first place.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn pairs(codes: __m256i, halves: usize) -> [[i32; 2]; 2] {
    let twos = _mm256_maddubs_epi16(_mm256_set1_epi8(1), codes);
    let fours = _mm256_add_epi16(twos, _mm256_shuffle_epi32(twos, 0b00_00_11_10));
    let all = _mm256_add_epi16(fours, _mm256_shuffle_epi32(fours, 0b00_00_00_01));
    let words = [_mm256_extract_epi32(all, 0), _mm256_extract_epi32(all, 4)];
    let pairs = words.map(|word| [i32::from(word as i16), word >> 16]);
    match halves {
        1 => [[pairs[0][0] + pairs[1][0], pairs[0][1] + pairs[1][1]], [0; 2]],
        _ => pairs,
    }
}
