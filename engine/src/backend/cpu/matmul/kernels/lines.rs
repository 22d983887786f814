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
                        fetch($b, TILE * size_of_val(*row));
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

/// Asks for memory so far behind a block: what is multiplied after this tile.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn fetch<B>(block: &B, distance: usize) {
    let from = std::ptr::from_ref(block).cast::<i8>().wrapping_add(distance);
    for line in (0..size_of::<B>()).step_by(64) {
        _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(line));
    }
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
        let d = _mm256_mul_ps(halfs(block.d), _mm256_set1_ps(POWER_24));
        for (part, codes) in block.qs.as_chunks::<16>().0.iter().enumerate() {
            for (i, codes) in tops(table(bytemuck::cast_ref(codes))).into_iter().enumerate() {
                take(2 * part + i, _mm256_mul_ps(_mm256_cvtepi32_ps(codes), d));
            }
        }
    }
    Q4_0: q4_0::Block, 32, 2, |block, take| {
        let d = _mm256_mul_ps(halfs(block.d), _mm256_set1_ps(POWER_28));
        // A code less eight is the same code in two's complement, but for the top bit.
        let codes = tops(_mm256_xor_si256(table(&block.qs), _mm256_set1_epi8(0x88_u8 as i8)));
        for (i, codes) in codes.into_iter().enumerate() {
            take(i, _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_slli_epi32(codes, 4)), d));
        }
        for (i, codes) in codes.into_iter().enumerate() {
            let high = _mm256_and_si256(codes, _mm256_set1_epi32(0xF000_0000_u32 as i32));
            take(2 + i, _mm256_mul_ps(_mm256_cvtepi32_ps(high), d));
        }
    }
    Q5_0: q5_0::Block, 32, 2, |block, take| {
        let d = _mm256_mul_ps(halfs(block.d), _mm256_set1_ps(POWER_27));
        let own = _mm256_sllv_epi32(table(&block.qs), _mm256_set_epi32(0, 0, 0, 0, 4, 4, 4, 4));
        let own = _mm256_and_si256(_mm256_srli_epi16(own, 1), _mm256_set1_epi8(0x78));
        let codes = _mm256_or_si256(own, signs(block.qh));
        for (i, codes) in all_tops(codes).into_iter().enumerate() {
            take(i, _mm256_mul_ps(_mm256_cvtepi32_ps(codes), d));
        }
    }
    MXFP4: mxfp4::Block, 32, 2, |block, take| {
        let [low, high] = &UPPER[usize::from(block.e)];
        let codes = _mm256_and_si256(interleaved(&block.qs), _mm256_set1_epi8(15));
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
        let (d, dmin) = (halfs(block.d), halfs(block.dmin));
        let [scales, mins] = six_bits(&block.scales);
        let mins = _mm256_xor_ps(_mm256_mul_ps(dmin, mins), _mm256_set1_ps(-0.0));
        let (scales, mins) = (numbers(_mm256_mul_ps(d, scales)), numbers(mins));
        for (pair, qs) in block.qs.as_chunks::<32>().0.iter().enumerate() {
            let [first, last] = [0, 1].map(|half| bottoms(table(&qs.as_chunks::<16>().0[half])));
            let codes = [first[0], first[1], last[0], last[1]];
            let low = codes.map(|codes| _mm256_and_si256(codes, _mm256_set1_epi32(15)));
            let high = codes.map(|codes| _mm256_srli_epi32(codes, 4));
            for (sub, codes) in [low, high].into_iter().enumerate() {
                let scale = _mm256_set1_ps(scales[2 * pair + sub]);
                let min = _mm256_set1_ps(mins[2 * pair + sub]);
                for (i, codes) in codes.into_iter().enumerate() {
                    // The product is exact, so this rounds as the decoder does.
                    let value = _mm256_fmadd_ps(_mm256_cvtepi32_ps(codes), scale, min);
                    take(8 * pair + 4 * sub + i, value);
                }
            }
        }
    }
    Q6_K: q6_k::Block, 256, 2, |block, take| {
        let d = _mm256_mul_ps(halfs(block.d), _mm256_set1_ps(POWER_26));
        let scales = [0, 1].map(|part| {
            let scales = bytemuck::cast::<[i8; 16], [i64; 2]>(block.scales)[part];
            let scales = _mm256_cvtepi8_epi32(_mm_cvtsi64_si128(scales));
            numbers(_mm256_mul_ps(d, _mm256_cvtepi32_ps(scales)))
        });
        let (low, top) = (_mm256_set1_epi8(0x3C), _mm256_set1_epi8(0xC0_u8 as i8));
        let ql = block.ql.as_chunks::<32>().0;
        for (part, qh) in block.qh.as_chunks::<32>().0.iter().enumerate() {
            let (a, b) = (load(&ql[2 * part]), load(&ql[2 * part + 1]));
            // A code less 32 is the same code in two's complement, but for the top bit.
            let qh = _mm256_xor_si256(load(qh), _mm256_set1_epi8(0xAA_u8 as i8));
            let quarters = [
                (_mm256_slli_epi16(a, 2), _mm256_slli_epi16(qh, 6)),
                (_mm256_slli_epi16(b, 2), _mm256_slli_epi16(qh, 4)),
                (_mm256_srli_epi16(a, 2), _mm256_slli_epi16(qh, 2)),
                (_mm256_srli_epi16(b, 2), qh),
            ];
            for (quarter, (ql, qh)) in quarters.into_iter().enumerate() {
                let codes = _mm256_or_si256(_mm256_and_si256(ql, low), _mm256_and_si256(qh, top));
                for (i, codes) in all_tops(codes).into_iter().enumerate() {
                    let scale = _mm256_set1_ps(scales[part][2 * quarter + i / 2]);
                    let value = _mm256_mul_ps(_mm256_cvtepi32_ps(codes), scale);
                    take(16 * part + 4 * quarter + i, value);
                }
            }
        }
    }
}

/// What a code that stands in the top bits of a word is too large by, undone in its scale. Both
/// are powers of two, and a 16-bit scale is far from the smallest of 32 bits: nothing is rounded.
const POWER_24: f32 = 1.0 / (1 << 24) as f32;
const POWER_26: f32 = 1.0 / (1 << 26) as f32;
const POWER_27: f32 = 1.0 / (1 << 27) as f32;
const POWER_28: f32 = 1.0 / (1 << 28) as f32;

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

/// The value of a stored 16-bit float, eight times. Not by way of one lane: the compiler puts a
/// 16-bit number into one of any register, and so waits for whatever sum that happens to hold.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn halfs(stored: [u8; 2]) -> __m256 {
    _mm256_cvtph_ps(_mm_set1_epi16(i16::from_le_bytes(stored)))
}

/// The value of a stored 16-bit float.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(in super::super) fn half(stored: [u8; 2]) -> f32 {
    _mm256_cvtss_f32(halfs(stored))
}

/// Eight of them.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(in super::super) fn whole_halfs(stored: [[u8; 2]; 8]) -> __m256 {
    let at = |i: usize| i32::from(u16::from_le_bytes(stored[i]));
    let four = |i: usize| {
        let first = _mm_set1_epi16(i16::from_le_bytes(stored[i]));
        let two = _mm_insert_epi16(first, at(i + 1), 1);
        _mm_insert_epi16(_mm_insert_epi16(two, at(i + 2), 2), at(i + 3), 3)
    };
    _mm256_cvtph_ps(_mm_unpacklo_epi64(four(0), four(4)))
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

/// Byte i holds the byte of a word that bit i is in, and which bit of it that is.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn own_bits(word: [u8; 4]) -> (__m256i, __m256i) {
    let each = 0x0101_0101_0101_0101;
    let bytes = _mm256_set_epi64x(3 * each, 2 * each, each, 0);
    let bits = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64 as i64);
    (_mm256_shuffle_epi8(_mm256_set1_epi32(i32::from_le_bytes(word)), bytes), bits)
}

/// Bit i of a word in the fifth place of byte i.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(in super::super) fn fifths(word: [u8; 4]) -> __m256i {
    let (own, bits) = own_bits(word);
    let set = _mm256_cmpeq_epi8(_mm256_and_si256(own, bits), bits);
    _mm256_and_si256(set, _mm256_set1_epi8(16))
}

/// Places of sixteen bytes in the words of two registers; the same sixteen are in both halves of
/// what is shuffled, and 0x80 leaves a byte empty.
const fn places(first: u8, at: usize) -> [u8; 32] {
    let mut places = [0x80; 32];
    let mut word = 0;
    while word < 8 {
        places[4 * word + at] = first + word as u8;
        word += 1;
    }
    places
}

/// Sixteen bytes, given twice, each as the top byte of a word.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn tops(twice: __m256i) -> [__m256i; 2] {
    const PLACES: [[u8; 32]; 2] = [places(0, 3), places(8, 3)];
    PLACES.each_ref().map(|places| _mm256_shuffle_epi8(twice, load(places)))
}

/// The same as the lowest byte.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn bottoms(twice: __m256i) -> [__m256i; 2] {
    const PLACES: [[u8; 32]; 2] = [places(0, 0), places(8, 0)];
    PLACES.each_ref().map(|places| _mm256_shuffle_epi8(twice, load(places)))
}

/// 32 bytes, each as the top byte of a word.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn all_tops(bytes: __m256i) -> [__m256i; 4] {
    let first = tops(_mm256_permute2x128_si256(bytes, bytes, 0x00));
    let last = tops(_mm256_permute2x128_si256(bytes, bytes, 0x11));
    [first[0], first[1], last[0], last[1]]
}

/// The top bit of byte i, where bit i of a word is not set.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn signs(word: [u8; 4]) -> __m256i {
    let (own, bits) = own_bits(word);
    let unset = _mm256_cmpeq_epi8(_mm256_and_si256(own, bits), _mm256_setzero_si256());
    _mm256_and_si256(unset, _mm256_set1_epi8(0x80_u8 as i8))
}

/// Low halves of sixteen bytes in the lower half of each byte, then their high halves, by fours in
/// such an order that two rounds of interleaving leave eights in order.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn interleaved(bytes: &[u8; 16]) -> __m256i {
    const ORDER: [u8; 32] = {
        let mut order = [0; 32];
        let mut i = 0;
        while i < 32 {
            order[i] = (i % 4 + i / 4 % 2 * 8 + i / 16 * 4) as u8;
            i += 1;
        }
        order
    };
    let fours = _mm256_shuffle_epi8(table(bytes), load(&ORDER));
    _mm256_srlv_epi32(fours, _mm256_set_epi32(4, 4, 0, 0, 4, 4, 0, 0))
}

/// Eight numbers, to be taken one by one.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn numbers(values: __m256) -> [f32; 8] {
    let mut numbers = [0.0; 8];
    // SAFETY: eight floats.
    unsafe { _mm256_storeu_ps(numbers.as_mut_ptr(), values) };
    numbers
}

/// Six-bit scales and minima of Q4_K and Q5_K, eight of each, as whole numbers.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(in super::super) fn six_bits(packed: &[u8; 12]) -> [__m256; 2] {
    let word = |i: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| packed[4 * i + byte]));
    let (scales, mins, lows) = (word(0), word(1), word(2));
    let (six, four, two) = (0x3F3F_3F3F, 0x0F0F_0F0F, 0x0303_0303);
    let tops = |word: u32| (word >> 6 & two) << 4;
    let eight = |first: u32, last: u32| {
        let bytes = _mm_set_epi32(0, 0, last as i32, first as i32);
        _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes))
    };
    let scale = eight(scales & six, lows & four | tops(scales));
    [scale, eight(mins & six, lows >> 4 & four | tops(mins))]
}
