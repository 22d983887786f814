//! One activation row, AVX2: matrix rows are decoded in registers and multiplied at once, so that
//! a token costs one pass over the blocks of a matrix. For the formats that models mostly hold;
//! the values are those of the decoders in `quant`, to the bit.

#![allow(non_snake_case)] // a kernel has the name of its format

use super::super::tree::Lanes;
use super::{Line, TILE};
use crate::quant::{mxfp4, q4_0, q4_k, q5_0, q6_k, q8_0};
use std::arch::x86_64::*;

/// A kernel from what a block gives: `take(i, values)` for every eight of its elements, in order.
/// After the length of a block stands how many rows are multiplied at a time: four where a block
/// is little work, to keep the memory busy; two where more do not fit the registers; one would
/// wait for its own sums.
macro_rules! lines {
    ($($name:ident: $block:ty, $len:literal, $rows:literal,
        |$b:ident, $take:ident| $body:block)*) => {$(
        #[target_feature(enable = "avx2,fma,f16c")]
        fn $name(w: &[&[u8]; TILE], x: &[f32], sums: &mut [Lanes; TILE]) {
            let rows = w.map(|bytes| bytemuck::cast_slice::<u8, $block>(bytes));
            let sums = sums.as_chunks_mut::<$rows>().0;
            for (rows, sums) in rows.as_chunks::<$rows>().0.iter().zip(sums) {
                let mut all = [[_mm256_setzero_ps(); 2]; $rows];
                let rows = rows.map(|row| &row[..x.len() / $len]);
                for (at, x) in x.as_chunks::<$len>().0.iter().enumerate() {
                    let x = x.as_chunks::<8>().0;
                    for (row, all) in rows.iter().zip(&mut all) {
                        let ($b, mut own) = (&row[at], *all);
                        let mut $take = |i: usize, values: __m256| {
                            // SAFETY: eight floats.
                            let x = unsafe { _mm256_loadu_ps(x[i].as_ptr()) };
                            own[i % 2] = _mm256_fmadd_ps(values, x, own[i % 2]);
                        };
                        $body
                        *all = own;
                    }
                }
                for (sums, own) in sums.iter_mut().zip(all) {
                    // SAFETY: sixteen floats.
                    unsafe {
                        _mm256_storeu_ps(sums.0.as_mut_ptr(), own[0]);
                        _mm256_storeu_ps(sums.0.as_mut_ptr().add(8), own[1]);
                    }
                }
            }
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

lines! {
    F32: [[u8; 4]; 16], 16, 4, |block, take| {
        for (i, eight) in block.as_chunks::<8>().0.iter().enumerate() {
            // SAFETY: 32 bytes.
            take(i, unsafe { _mm256_loadu_ps(eight.as_ptr().cast()) });
        }
    }
    F16: [[u8; 2]; 16], 16, 4, |block, take| {
        for (i, eight) in block.as_chunks::<8>().0.iter().enumerate() {
            // SAFETY: 16 bytes.
            take(i, _mm256_cvtph_ps(unsafe { _mm_loadu_si128(eight.as_ptr().cast()) }));
        }
    }
    BF16: [[u8; 2]; 16], 16, 4, |block, take| {
        for (i, eight) in block.as_chunks::<8>().0.iter().enumerate() {
            // SAFETY: 16 bytes.
            let upper = unsafe { _mm_loadu_si128(eight.as_ptr().cast()) };
            take(i, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(upper), 16)));
        }
    }
    Q8_0: q8_0::Block, 32, 4, |block, take| {
        let d = broadcast(block.d);
        for (i, codes) in block.qs.as_chunks::<8>().0.iter().enumerate() {
            // SAFETY: 8 bytes.
            let codes = unsafe { _mm_loadl_epi64(codes.as_ptr().cast()) };
            take(i, _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(codes)), d));
        }
    }
    Q4_0: q4_0::Block, 32, 2, |block, take| {
        let d = broadcast(block.d);
        for (i, codes) in floats(nibbles(&block.qs), 8.0).into_iter().enumerate() {
            take(i, _mm256_mul_ps(codes, d));
        }
    }
    Q5_0: q5_0::Block, 32, 2, |block, take| {
        let d = broadcast(block.d);
        let codes = _mm256_or_si256(nibbles(&block.qs), fifths(block.qh));
        for (i, codes) in floats(codes, 16.0).into_iter().enumerate() {
            take(i, _mm256_mul_ps(codes, d));
        }
    }
    MXFP4: mxfp4::Block, 32, 2, |block, take| {
        let [low, high] = &UPPER[usize::from(block.e)];
        let codes = _mm256_permutevar8x32_epi32(nibbles(&block.qs), order());
        let low = _mm256_shuffle_epi8(table(low), codes);
        let high = _mm256_shuffle_epi8(table(high), codes);
        let first = _mm256_unpacklo_epi8(low, high);
        let second = _mm256_unpackhi_epi8(low, high);
        let zero = _mm256_setzero_si256();
        take(0, _mm256_castsi256_ps(_mm256_unpacklo_epi16(zero, first)));
        take(1, _mm256_castsi256_ps(_mm256_unpackhi_epi16(zero, first)));
        take(2, _mm256_castsi256_ps(_mm256_unpacklo_epi16(zero, second)));
        take(3, _mm256_castsi256_ps(_mm256_unpackhi_epi16(zero, second)));
    }
    Q4_K: q4_k::Block, 256, 2, |block, take| {
        let (d, dmin) = (half(block.d), half(block.dmin));
        for (pair, qs) in block.qs.as_chunks::<32>().0.iter().enumerate() {
            for (sub, codes) in halves(qs).into_iter().enumerate() {
                let (scale, min) = q4_k::scale_and_min(&block.scales, 2 * pair + sub);
                let scale = _mm256_set1_ps(d * f32::from(scale));
                let min = _mm256_set1_ps(dmin * f32::from(min));
                for (i, codes) in floats(codes, 0.0).into_iter().enumerate() {
                    // Rounded after each operation, as the decoder does.
                    take(8 * pair + 4 * sub + i, _mm256_sub_ps(_mm256_mul_ps(scale, codes), min));
                }
            }
        }
    }
    Q6_K: q6_k::Block, 256, 2, |block, take| {
        let (d, top) = (half(block.d), _mm256_set1_epi8(0x30));
        let ql = block.ql.as_chunks::<32>().0;
        for (part, qh) in block.qh.as_chunks::<32>().0.iter().enumerate() {
            let ([a, c], [b, d_]) = (halves(&ql[2 * part]), halves(&ql[2 * part + 1]));
            let qh = load(qh);
            let left = [_mm256_slli_epi16(qh, 4), _mm256_slli_epi16(qh, 2)];
            let tops = [left[0], left[1], qh, _mm256_srli_epi16(qh, 2)];
            for (quarter, (low, qh)) in [a, b, c, d_].into_iter().zip(tops).enumerate() {
                let codes = _mm256_or_si256(low, _mm256_and_si256(qh, top));
                for (i, codes) in floats(codes, 32.0).into_iter().enumerate() {
                    let eighth = 16 * part + 4 * quarter + i;
                    let scale = _mm256_set1_ps(d * f32::from(block.scales[eighth / 2]));
                    take(eighth, _mm256_mul_ps(scale, codes));
                }
            }
        }
    }
}

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

/// A table of sixteen bytes, to be looked up with `_mm256_shuffle_epi8`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(in super::super) fn table(bytes: &[u8; 16]) -> __m256i {
    // SAFETY: 16 bytes.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
}

/// The value of a stored 16-bit float, in one instruction.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(in super::super) fn half(stored: [u8; 2]) -> f32 {
    _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(i32::from(u16::from_le_bytes(stored)))))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn broadcast(stored: [u8; 2]) -> __m256 {
    _mm256_set1_ps(half(stored))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(in super::super) fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: 32 bytes.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// Sixteen bytes' low halves, then their high halves.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(in super::super) fn nibbles(bytes: &[u8; 16]) -> __m256i {
    // SAFETY: 16 bytes.
    let low = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    let both = _mm256_set_m128i(_mm_srli_epi16(low, 4), low);
    _mm256_and_si256(both, _mm256_set1_epi8(15))
}

/// Low halves of 32 bytes, and their high halves.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(in super::super) fn halves(bytes: &[u8; 32]) -> [__m256i; 2] {
    let (bytes, mask) = (load(bytes), _mm256_set1_epi8(15));
    [_mm256_and_si256(bytes, mask), _mm256_and_si256(_mm256_srli_epi16(bytes, 4), mask)]
}

/// Bit i of a word in the fifth place of byte i.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(in super::super) fn fifths(word: [u8; 4]) -> __m256i {
    let each = 0x0101_0101_0101_0101;
    let bytes = _mm256_set_epi64x(3 * each, 2 * each, each, 0);
    let bits = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64 as i64);
    let own = _mm256_shuffle_epi8(_mm256_set1_epi32(i32::from_le_bytes(word)), bytes);
    let set = _mm256_cmpeq_epi8(_mm256_and_si256(own, bits), bits);
    _mm256_and_si256(set, _mm256_set1_epi8(16))
}

/// Small unsigned bytes less `zero` as numbers, in order, without a conversion: put behind the
/// exponent of 2^23, a byte is that much more than 2^23.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn floats(codes: __m256i, zero: f32) -> [__m256; 4] {
    let (nothing, exponent) = (_mm256_setzero_si256(), _mm256_set1_epi16(0x4B00));
    let codes = _mm256_permutevar8x32_epi32(codes, order());
    let first = _mm256_unpacklo_epi8(codes, nothing);
    let second = _mm256_unpackhi_epi8(codes, nothing);
    let offset = _mm256_set1_ps(8_388_608.0 + zero);
    [
        _mm256_unpacklo_epi16(first, exponent),
        _mm256_unpackhi_epi16(first, exponent),
        _mm256_unpacklo_epi16(second, exponent),
        _mm256_unpackhi_epi16(second, exponent),
    ]
    .map(|number| _mm256_sub_ps(_mm256_castsi256_ps(number), offset))
}

/// Fours of bytes in such an order that two rounds of interleaving leave eights of them in order.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn order() -> __m256i {
    _mm256_set_epi32(7, 5, 3, 1, 6, 4, 2, 0)
}
