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

/// A table of sixteen bytes, to be looked up with `_mm256_shuffle_epi8`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn table(bytes: &[u8; 16]) -> __m256i {
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
pub(super) fn half(stored: [u8; 2]) -> f32 {
    _mm256_cvtss_f32(halfs(stored))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: 32 bytes.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// Sixteen bytes' low halves, then their high halves.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn nibbles(bytes: &[u8; 16]) -> __m256i {
    // SAFETY: 16 bytes.
    let low = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    let both = _mm256_set_m128i(_mm_srli_epi16(low, 4), low);
    _mm256_and_si256(both, _mm256_set1_epi8(15))
}

/// Low halves of 32 bytes, and their high halves.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn halves(bytes: &[u8; 32]) -> [__m256i; 2] {
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
pub(super) fn fifths(word: [u8; 4]) -> __m256i {
    let (own, bits) = own_bits(word);
    let set = _mm256_cmpeq_epi8(_mm256_and_si256(own, bits), bits);
    _mm256_and_si256(set, _mm256_set1_epi8(16))
}

/// Six-bit scales and minima of Q4_K and Q5_K, eight of each, as whole numbers.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn six_bits(packed: &[u8; 12]) -> [__m256; 2] {
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
