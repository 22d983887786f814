//! What AVX2 kernels need to take blocks apart. Knows how codes are packed, not what is computed
//! with them. Nothing here may be a closure that goes through the standard library: it would be
//! compiled without these instructions, and called.

use std::arch::asm;
use std::arch::x86_64::*;

/// The same bytes, of which the compiler cannot know that they are repeated: it would replace one
/// shuffle by several, and shuffles are what these kernels have too many of.
#[inline]
#[target_feature(enable = "avx2")]
fn opaque(mut bytes: __m256i) -> __m256i {
    // SAFETY: nothing is executed; what comes out is what went in.
    unsafe {
        asm!("/* {0} */", inout(ymm_reg) bytes, options(pure, nomem, nostack, preserves_flags));
    }
    bytes
}

/// A byte in every place, read whole: repeating a byte would be one more shuffle.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn every(byte: i8) -> __m256i {
    opaque(_mm256_set1_epi8(byte))
}

/// A table of sixteen bytes, to be looked up with `_mm256_shuffle_epi8`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(in super::super) fn table(bytes: &[u8; 16]) -> __m256i {
    // SAFETY: 16 bytes.
    opaque(_mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }))
}

/// The value of a stored 16-bit float, eight times. Not by way of one lane: the compiler puts a
/// 16-bit number into one of any register, and so waits for whatever sum that happens to hold.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn halfs(stored: [u8; 2]) -> __m256 {
    _mm256_cvtph_ps(_mm_set1_epi16(i16::from_le_bytes(stored)))
}

/// The value of a stored 16-bit float.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(in super::super) fn half(stored: [u8; 2]) -> f32 {
    _mm256_cvtss_f32(halfs(stored))
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
pub(super) fn tops(twice: __m256i) -> [__m256i; 2] {
    const PLACES: [[u8; 32]; 2] = [places(0, 3), places(8, 3)];
    [_mm256_shuffle_epi8(twice, load(&PLACES[0])), _mm256_shuffle_epi8(twice, load(&PLACES[1]))]
}

/// The same as the lowest byte.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn bottoms(twice: __m256i) -> [__m256i; 2] {
    const PLACES: [[u8; 32]; 2] = [places(0, 0), places(8, 0)];
    [_mm256_shuffle_epi8(twice, load(&PLACES[0])), _mm256_shuffle_epi8(twice, load(&PLACES[1]))]
}

/// Bytes in the order of [`interleaved`], each as the top byte of a word.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn all_tops(bytes: __m256i) -> [__m256i; 4] {
    let zero = _mm256_setzero_si256();
    let (first, last) = (_mm256_unpacklo_epi8(zero, bytes), _mm256_unpackhi_epi8(zero, bytes));
    [
        _mm256_unpacklo_epi16(zero, first),
        _mm256_unpackhi_epi16(zero, first),
        _mm256_unpacklo_epi16(zero, last),
        _mm256_unpackhi_epi16(zero, last),
    ]
}

/// Low halves of sixteen bytes, then their high halves, by fours in such an order that two rounds
/// of interleaving leave eights in order: elements 0–3, 8–11, 16–19 and 24–27, then the others.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn interleaved(bytes: &[u8; 16]) -> __m256i {
    const ORDER: [u8; 32] = {
        let mut order = [0; 32];
        let mut i = 0;
        while i < 32 {
            order[i] = (i % 4 + i / 4 % 2 * 8 + i / 16 * 4) as u8;
            i += 1;
        }
        order
    };
    let fours = _mm256_shuffle_epi8(table(bytes), opaque(load(&ORDER)));
    let own = _mm256_srlv_epi32(fours, _mm256_set_epi32(4, 4, 0, 0, 4, 4, 0, 0));
    _mm256_and_si256(own, every(15))
}

/// 32 bytes in the order of [`interleaved`].
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn in_order(bytes: &[u8; 32]) -> __m256i {
    _mm256_permutevar8x32_epi32(load(bytes), _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7))
}

/// The bits of a word in the fifth places of bytes in the order of [`interleaved`].
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn interleaved_fifths(word: [u8; 4]) -> __m256i {
    let eights = _mm256_set_epi32(
        0x0303_0303,
        0x0202_0202,
        0x0101_0101,
        0,
        0x0303_0303,
        0x0202_0202,
        0x0101_0101,
        0,
    );
    let (low, high) = (0x0804_0201, 0x8040_2010_u32 as i32);
    let bits = _mm256_set_epi32(high, high, high, high, low, low, low, low);
    let words = opaque(_mm256_set1_epi32(i32::from_le_bytes(word)));
    let own = _mm256_shuffle_epi8(words, eights);
    let set = _mm256_cmpeq_epi8(_mm256_and_si256(own, bits), bits);
    _mm256_and_si256(set, every(16))
}

/// What [`above`] adds to a code.
pub(super) const ABOVE: f32 = 128.0;

/// Bytes up to 127 in the order of [`interleaved`] as numbers, each larger by [`ABOVE`]: the lower
/// bits of such a number's upper half are the byte, so nothing has to be converted.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn above(codes: __m256i) -> [__m256; 4] {
    upper_bytes(codes, every((ABOVE.to_bits() >> 24) as i8))
}

/// Numbers from their bytes 2 and 3, given in the order of [`interleaved`]; the others are 0.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn upper_bytes(low: __m256i, high: __m256i) -> [__m256; 4] {
    let zero = _mm256_setzero_si256();
    let (first, last) = (_mm256_unpacklo_epi8(low, high), _mm256_unpackhi_epi8(low, high));
    [
        _mm256_castsi256_ps(_mm256_unpacklo_epi16(zero, first)),
        _mm256_castsi256_ps(_mm256_unpackhi_epi16(zero, first)),
        _mm256_castsi256_ps(_mm256_unpacklo_epi16(zero, last)),
        _mm256_castsi256_ps(_mm256_unpackhi_epi16(zero, last)),
    ]
}

/// Numbers that are stored as their upper halves.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn upper_halves(stored: &[[u8; 2]; 8]) -> __m256 {
    // SAFETY: 16 bytes.
    let upper = unsafe { _mm_loadu_si128(stored.as_ptr().cast()) };
    _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(upper), 16))
}

/// Eight numbers, to be taken one by one.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn numbers(values: __m256) -> [f32; 8] {
    let mut numbers = [0.0; 8];
    // SAFETY: eight floats.
    unsafe { _mm256_storeu_ps(numbers.as_mut_ptr(), values) };
    numbers
}

/// Six-bit scales and minima of Q4_K and Q5_K, eight of each, as whole numbers.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(in super::super) fn six_bits(packed: &[u8; 12]) -> [__m256; 2] {
    let [scales, mins, lows]: [[u8; 4]; 3] = bytemuck::cast(*packed);
    let [scales, mins, lows] =
        [u32::from_le_bytes(scales), u32::from_le_bytes(mins), u32::from_le_bytes(lows)];
    let (six, four, two) = (0x3F3F_3F3F, 0x0F0F_0F0F, 0x3030_3030);
    let scales = [scales & six, lows & four | scales >> 2 & two];
    let mins = [mins & six, lows >> 4 & four | mins >> 2 & two];
    let eight = |[first, last]: [u32; 2]| u64::from(first) | u64::from(last) << 32;
    let (scales, mins) = (eight(scales) as i64, eight(mins) as i64);
    [
        _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(scales))),
        _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(mins))),
    ]
}
