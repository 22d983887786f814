//! AVX-512 decoders, 16 values at a time. All values that the codes of a block can have fit one
//! register, so they are computed once and the codes only permute them. Knows blocks, not tensors.

use super::super::block::decoding;
use super::super::mxfp4::VALUES;
use super::super::q4_k::scale_and_min;
use super::super::{mxfp4, q4_0, q4_k};
use super::avx2::widen;
use std::arch::x86_64::*;

#[target_feature(enable = "avx512f")]
fn table(values: &[f32; 16]) -> __m512 {
    // SAFETY: the array holds the 16 values that are read.
    unsafe { _mm512_loadu_ps(values.as_ptr()) }
}

#[target_feature(enable = "avx512f")]
fn store(out: &mut [f32; 16], values: __m512) {
    // SAFETY: the array holds the 16 values that are written.
    unsafe { _mm512_storeu_ps(out.as_mut_ptr(), values) }
}

/// The values of sixteen bytes' low halves and high halves. A permutation reads only the low four
/// bits of each lane, so the low halves need no mask.
#[target_feature(enable = "avx512f")]
fn look_up(codes: &[u8; 16], low: __m512, high: __m512) -> (__m512, __m512) {
    // SAFETY: the array holds the 16 bytes that are read.
    let codes = _mm512_cvtepu8_epi32(unsafe { _mm_loadu_si128(codes.as_ptr().cast()) });
    let high = _mm512_permutexvar_ps(_mm512_srli_epi32(codes, 4), high);
    (_mm512_permutexvar_ps(codes, low), high)
}

/// y = (code − 8)·d
#[target_feature(enable = "avx512f,avx2,f16c")]
pub(super) fn q4_0(bytes: &[u8], out: &mut [f32]) {
    let codes = table(&std::array::from_fn(|code| code as f32 - 8.0));
    for (block, out) in decoding::<q4_0::Block, { q4_0::LEN }>(bytes, out) {
        let values = _mm512_mul_ps(codes, _mm512_set1_ps(widen(block.d)));
        let (low, high) = look_up(&block.qs, values, values);
        let (out, _) = out.as_chunks_mut();
        store(&mut out[0], low);
        store(&mut out[1], high);
    }
}

/// y = (d·scale)·code − dmin·minimum, rounded after each operation: fused, it would be another
/// number.
#[target_feature(enable = "avx512f,avx2,f16c")]
pub(super) fn q4_k(bytes: &[u8], out: &mut [f32]) {
    let codes = table(&std::array::from_fn(|code| code as f32));
    for (block, out) in decoding::<q4_k::Block, { q4_k::LEN }>(bytes, out) {
        let (d, dmin) = (widen(block.d), widen(block.dmin));
        let line = |sub| {
            let (scale, min) = scale_and_min(&block.scales, sub);
            let scaled = _mm512_mul_ps(_mm512_set1_ps(d * f32::from(scale)), codes);
            _mm512_sub_ps(scaled, _mm512_set1_ps(dmin * f32::from(min)))
        };
        let pairs = block.qs.as_chunks::<32>().0.iter().zip(out.as_chunks_mut::<64>().0);
        for (pair, (codes, out)) in pairs.enumerate() {
            let (values1, values2) = (line(2 * pair), line(2 * pair + 1));
            let (out, _) = out.as_chunks_mut();
            for (quarter, codes) in codes.as_chunks().0.iter().enumerate() {
                let (low, high) = look_up(codes, values1, values2);
                store(&mut out[quarter], low);
                store(&mut out[quarter + 2], high);
            }
        }
    }
}

/// y = element·2^(e − 127), from the table that the scalar decoder reads.
#[target_feature(enable = "avx512f")]
pub(super) fn mxfp4(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in decoding::<mxfp4::Block, { mxfp4::LEN }>(bytes, out) {
        let values = table(&VALUES[usize::from(block.e)]);
        let (low, high) = look_up(&block.qs, values, values);
        let (out, _) = out.as_chunks_mut();
        store(&mut out[0], low);
        store(&mut out[1], high);
    }
}
