//! AVX2 + F16C decoders, 8 values at a time. Knows blocks, not tensors.

use super::super::block::{Half, decoding};
use super::super::mxfp4::VALUES;
use super::super::q4_k::scale_and_min;
use super::super::{iq4_nl, iq4_xs, mxfp4, q3_k, q4_0, q4_1, q4_k, q5_0, q5_1, q5_k, q6_k, q8_0};
use std::arch::x86_64::*;

/// A stored 16-bit float in every lane.
#[target_feature(enable = "avx2,f16c")]
fn broadcast(half: Half) -> __m256 {
    _mm256_set1_ps(widen(half))
}

/// The value of a stored 16-bit float, in one instruction.
#[target_feature(enable = "f16c")]
pub(super) fn widen(half: Half) -> f32 {
    let bits = i32::from(u16::from_le_bytes(half));
    _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(bits)))
}

/// Eight bytes, as they lie.
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 8]) -> __m128i {
    // SAFETY: the array holds the 8 bytes that are read.
    unsafe { _mm_loadl_epi64(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
fn store(out: &mut [f32; 8], values: __m256) {
    // SAFETY: the array holds the 8 values that are written.
    unsafe { _mm256_storeu_ps(out.as_mut_ptr(), values) }
}

/// The readable decoder, compiled once more: the compiler vectorises it for these registers, and
/// it never fuses or reorders floating point, so the bits stay.
macro_rules! recompiled {
    ($($format:ident)*) => {$(
        #[target_feature(enable = "avx2,f16c")]
        pub(super) fn $format(bytes: &[u8], out: &mut [f32]) {
            $format::decode(bytes, out);
        }
    )*};
}

recompiled!(q4_1 q5_0 q5_1 q3_k q5_k iq4_nl iq4_xs);

/// The values of eight stored 16-bit floats.
#[target_feature(enable = "avx2,f16c")]
pub(super) fn f16(bytes: &[u8], out: &mut [f32]) {
    let (eights, rest) = bytes.as_chunks::<16>();
    let (out, last) = out.as_chunks_mut::<8>();
    for (eight, out) in eights.iter().zip(out) {
        // SAFETY: the array holds the 16 bytes that are read.
        store(out, _mm256_cvtph_ps(unsafe { _mm_loadu_si128(eight.as_ptr().cast()) }));
    }
    for (half, out) in rest.as_chunks().0.iter().zip(last) {
        *out = widen(*half);
    }
}

/// y = code·d
#[target_feature(enable = "avx2,f16c")]
pub(super) fn q8_0(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in decoding::<q8_0::Block, { q8_0::LEN }>(bytes, out) {
        let d = broadcast(block.d);
        let codes = bytemuck::cast_ref::<_, [[u8; 8]; 4]>(&block.qs);
        for (codes, out) in codes.iter().zip(out.as_chunks_mut().0) {
            let codes = _mm256_cvtepi8_epi32(load(codes));
            store(out, _mm256_mul_ps(_mm256_cvtepi32_ps(codes), d));
        }
    }
}

/// y = (code − 8)·d
#[target_feature(enable = "avx2,f16c")]
pub(super) fn q4_0(bytes: &[u8], out: &mut [f32]) {
    let (nibble, eight) = (_mm256_set1_epi32(15), _mm256_set1_epi32(8));
    for (block, out) in decoding::<q4_0::Block, { q4_0::LEN }>(bytes, out) {
        let d = broadcast(block.d);
        let (out, _) = out.as_chunks_mut();
        for (half, codes) in block.qs.as_chunks().0.iter().enumerate() {
            let codes = _mm256_cvtepu8_epi32(load(codes));
            let low = _mm256_sub_epi32(_mm256_and_si256(codes, nibble), eight);
            let high = _mm256_sub_epi32(_mm256_srli_epi32(codes, 4), eight);
            store(&mut out[half], _mm256_mul_ps(_mm256_cvtepi32_ps(low), d));
            store(&mut out[half + 2], _mm256_mul_ps(_mm256_cvtepi32_ps(high), d));
        }
    }
}

/// y = (d·scale)·code − dmin·minimum, rounded after each operation: fused, it would be another
/// number.
#[target_feature(enable = "avx2,f16c")]
pub(super) fn q4_k(bytes: &[u8], out: &mut [f32]) {
    let nibble = _mm256_set1_epi32(15);
    for (block, out) in decoding::<q4_k::Block, { q4_k::LEN }>(bytes, out) {
        let (d, dmin) = (widen(block.d), widen(block.dmin));
        let line = |sub| {
            let (scale, min) = scale_and_min(&block.scales, sub);
            (_mm256_set1_ps(d * f32::from(scale)), _mm256_set1_ps(dmin * f32::from(min)))
        };
        let pairs = block.qs.as_chunks::<32>().0.iter().zip(out.as_chunks_mut::<64>().0);
        for (pair, (codes, out)) in pairs.enumerate() {
            let ((scale1, min1), (scale2, min2)) = (line(2 * pair), line(2 * pair + 1));
            let (out, _) = out.as_chunks_mut();
            for (eighth, codes) in codes.as_chunks().0.iter().enumerate() {
                let codes = _mm256_cvtepu8_epi32(load(codes));
                let low = _mm256_cvtepi32_ps(_mm256_and_si256(codes, nibble));
                let high = _mm256_cvtepi32_ps(_mm256_srli_epi32(codes, 4));
                store(&mut out[eighth], _mm256_sub_ps(_mm256_mul_ps(scale1, low), min1));
                store(&mut out[eighth + 4], _mm256_sub_ps(_mm256_mul_ps(scale2, high), min2));
            }
        }
    }
}

/// y = (d·scale)·(code − 32)
#[target_feature(enable = "avx2,f16c")]
pub(super) fn q6_k(bytes: &[u8], out: &mut [f32]) {
    let (nibble, pair) = (_mm256_set1_epi32(15), _mm256_set1_epi32(0x30));
    let zero = _mm256_set1_epi32(32);
    for (block, out) in decoding::<q6_k::Block, { q6_k::LEN }>(bytes, out) {
        let d = widen(block.d);
        let (low, high) = (block.ql.as_chunks::<8>().0, block.qh.as_chunks::<8>().0);
        let (out, _) = out.as_chunks_mut();
        // Eights of elements: a half of the block has 16, which share 8 of low bits (two elements
        // a byte) and 4 of high bits (four elements a byte).
        for (eighth, out) in out.iter_mut().enumerate() {
            let (half, within) = (eighth / 16, eighth % 16);
            let low = _mm256_cvtepu8_epi32(load(&low[8 * half + within % 8]));
            let high = _mm256_cvtepu8_epi32(load(&high[4 * half + within % 4]));
            let low = if within < 8 { low } else { _mm256_srli_epi32(low, 4) };
            let high = match within / 4 {
                0 => _mm256_slli_epi32(high, 4),
                1 => _mm256_slli_epi32(high, 2),
                2 => high,
                _ => _mm256_srli_epi32(high, 2),
            };
            let code = _mm256_or_si256(_mm256_and_si256(low, nibble), _mm256_and_si256(high, pair));
            let scale = _mm256_set1_ps(d * f32::from(block.scales[eighth / 2]));
            let code = _mm256_cvtepi32_ps(_mm256_sub_epi32(code, zero));
            store(out, _mm256_mul_ps(scale, code));
        }
    }
}

/// Magnitudes from the scale's own table; the sign is moved as a bit, because a detour through
/// integers would lose negative zero.
#[target_feature(enable = "avx2")]
pub(super) fn mxfp4(bytes: &[u8], out: &mut [f32]) {
    let sign = _mm256_set1_epi32(i32::MIN);
    for (block, out) in decoding::<mxfp4::Block, { mxfp4::LEN }>(bytes, out) {
        let values = &VALUES[usize::from(block.e)];
        // SAFETY: the first 8 of the table's 16 values are read.
        let magnitudes = unsafe { _mm256_loadu_ps(values.as_ptr()) };
        let (out, _) = out.as_chunks_mut();
        for (half, codes) in block.qs.as_chunks().0.iter().enumerate() {
            let low = _mm256_cvtepu8_epi32(load(codes));
            for (codes, at) in [(low, half), (_mm256_srli_epi32(low, 4), half + 2)] {
                let magnitude = _mm256_permutevar8x32_ps(magnitudes, codes);
                let signs = _mm256_and_si256(_mm256_slli_epi32(codes, 28), sign);
                store(&mut out[at], _mm256_or_ps(magnitude, _mm256_castsi256_ps(signs)));
            }
        }
    }
}
