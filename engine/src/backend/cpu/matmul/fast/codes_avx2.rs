//! The unpackers for AVX2: by hand for the formats that models mostly hold, and for the others the
//! readable ones compiled once more, which the compiler vectorises for these registers.

use super::codes::{self, E2M1};
use super::strip::{BLOCK, STRIP, Strip};
use super::unpack::{fifths, half, halves, load, nibbles, six_bits, table};
use crate::quant::{iq4_nl, iq4_xs, mxfp4, q4_0, q4_k, q5_0, q5_k, q6_k, q8_0};
use std::arch::x86_64::*;

/// Each unpacker calls the function that its line names, compiled for this level.
macro_rules! unpackers {
    ($($format:ident = $path:path;)*) => {$(
        pub(super) fn $format(bytes: &[u8], row: usize, strip: &mut Strip) {
            #[target_feature(enable = "avx2,f16c,fma")]
            fn compiled(bytes: &[u8], row: usize, strip: &mut Strip) {
                $path(bytes, row, strip);
            }
            // SAFETY: reached through `codes::of` alone, for a level that the machine has.
            unsafe { compiled(bytes, row, strip) }
        }
    )*};
}

unpackers! {
    q4_0 = by_hand_q4_0;
    q4_1 = codes::q4_1;
    q5_0 = by_hand_q5_0;
    q5_1 = codes::q5_1;
    q8_0 = by_hand_q8_0;
    q2_k = codes::q2_k;
    q3_k = codes::q3_k;
    q4_k = by_hand_q4_k;
    q5_k = by_hand_q5_k;
    q6_k = by_hand_q6_k;
    iq4_nl = by_hand_iq4_nl;
    iq4_xs = by_hand_iq4_xs;
    mxfp4 = by_hand_mxfp4;
    nvfp4 = codes::nvfp4;
}

/// Puts block `block` of a row.
#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
fn put(strip: &mut Strip, row: usize, block: usize, codes: __m256i) {
    debug_assert!(block < STRIP / BLOCK);
    let out: &mut [[u8; BLOCK]; STRIP / BLOCK] = bytemuck::cast_mut(&mut strip.codes[row].0);
    // SAFETY: 32 bytes.
    unsafe { _mm256_storeu_si256(out[block].as_mut_ptr().cast(), codes) };
}

#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
fn by_hand_q4_0(bytes: &[u8], row: usize, strip: &mut Strip) {
    for (b, block) in codes::blocks::<q4_0::Block>(bytes).enumerate() {
        put(strip, row, b, nibbles(&block.qs));
        strip.scales[b][row] = half(block.d);
    }
}

#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
fn by_hand_q5_0(bytes: &[u8], row: usize, strip: &mut Strip) {
    for (b, block) in codes::blocks::<q5_0::Block>(bytes).enumerate() {
        put(strip, row, b, _mm256_or_si256(nibbles(&block.qs), fifths(block.qh)));
        strip.scales[b][row] = half(block.d);
    }
}

#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
fn by_hand_q8_0(bytes: &[u8], row: usize, strip: &mut Strip) {
    for (b, block) in codes::blocks::<q8_0::Block>(bytes).enumerate() {
        put(strip, row, b, load(bytemuck::cast_ref(&block.qs)));
        strip.scales[b][row] = half(block.d);
    }
}

#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
fn by_hand_iq4_nl(bytes: &[u8], row: usize, strip: &mut Strip) {
    let values = table(bytemuck::cast_ref(&iq4_nl::VALUES));
    for (b, block) in codes::blocks::<iq4_nl::Block>(bytes).enumerate() {
        put(strip, row, b, _mm256_shuffle_epi8(values, nibbles(&block.qs)));
        strip.scales[b][row] = half(block.d);
    }
}

#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
fn by_hand_iq4_xs(bytes: &[u8], row: usize, strip: &mut Strip) {
    let values = table(bytemuck::cast_ref(&iq4_nl::VALUES));
    for (b, block) in codes::blocks::<iq4_xs::Block>(bytes).enumerate() {
        let d = half(block.d);
        for (sub, qs) in block.qs.as_chunks::<16>().0.iter().enumerate() {
            put(strip, row, 8 * b + sub, _mm256_shuffle_epi8(values, nibbles(qs)));
            strip.scales[8 * b + sub][row] = d * codes::iq4_xs_scale(block, sub);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
fn by_hand_mxfp4(bytes: &[u8], row: usize, strip: &mut Strip) {
    let values = table(&E2M1);
    for (b, block) in codes::blocks::<mxfp4::Block>(bytes).enumerate() {
        put(strip, row, b, _mm256_shuffle_epi8(values, nibbles(&block.qs)));
        strip.scales[b][row] = mxfp4::VALUES[usize::from(block.e)][1];
    }
}

/// Eight numbers to the groups from `group` on.
#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
fn scatter(out: &mut [[f32; 8]; STRIP / 16], group: usize, row: usize, values: __m256) {
    let mut own = [0.0; 8];
    // SAFETY: eight floats.
    unsafe { _mm256_storeu_ps(own.as_mut_ptr(), values) };
    for (out, value) in out[group..][..8].iter_mut().zip(own) {
        out[row] = value;
    }
}

#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
fn by_hand_q4_k(bytes: &[u8], row: usize, strip: &mut Strip) {
    for (b, block) in codes::blocks::<q4_k::Block>(bytes).enumerate() {
        for (pair, qs) in block.qs.as_chunks::<32>().0.iter().enumerate() {
            let [low, high] = halves(qs);
            put(strip, row, 8 * b + 2 * pair, low);
            put(strip, row, 8 * b + 2 * pair + 1, high);
        }
        let (d, dmin) = (_mm256_set1_ps(half(block.d)), _mm256_set1_ps(half(block.dmin)));
        let [scales, mins] = six_bits(&block.scales);
        scatter(&mut strip.scales, 8 * b, row, _mm256_mul_ps(d, scales));
        let mins = _mm256_xor_ps(_mm256_mul_ps(dmin, mins), _mm256_set1_ps(-0.0));
        scatter(&mut strip.mins, 8 * b, row, mins);
    }
}

#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
fn by_hand_q5_k(bytes: &[u8], row: usize, strip: &mut Strip) {
    let bit = _mm256_set1_epi8(16);
    for (b, block) in codes::blocks::<q5_k::Block>(bytes).enumerate() {
        let mut fifth = load(&block.qh);
        for (pair, qs) in block.qs.as_chunks::<32>().0.iter().enumerate() {
            let [low, high] = halves(qs);
            // Bits 0 and 1 of every byte belong to these two, and move out for the next two.
            let first = _mm256_and_si256(_mm256_slli_epi16(fifth, 4), bit);
            let second = _mm256_and_si256(_mm256_slli_epi16(fifth, 3), bit);
            put(strip, row, 8 * b + 2 * pair, _mm256_or_si256(low, first));
            put(strip, row, 8 * b + 2 * pair + 1, _mm256_or_si256(high, second));
            fifth = _mm256_srli_epi16(fifth, 2);
        }
        let (d, dmin) = (_mm256_set1_ps(half(block.d)), _mm256_set1_ps(half(block.dmin)));
        let [scales, mins] = six_bits(&block.scales);
        let scales = _mm256_mul_ps(d, scales);
        let middles = _mm256_mul_ps(_mm256_set1_ps(16.0), scales);
        scatter(&mut strip.scales, 8 * b, row, scales);
        let mins = _mm256_sub_ps(middles, _mm256_mul_ps(dmin, mins));
        scatter(&mut strip.mins, 8 * b, row, mins);
    }
}

#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
fn by_hand_q6_k(bytes: &[u8], row: usize, strip: &mut Strip) {
    let top = _mm256_set1_epi8(0x30);
    for (b, block) in codes::blocks::<q6_k::Block>(bytes).enumerate() {
        let (ql, qh) = (block.ql.as_chunks::<32>().0, block.qh.as_chunks::<32>().0);
        for (part, qh) in qh.iter().enumerate() {
            let [low0, high0] = halves(&ql[2 * part]);
            let [low1, high1] = halves(&ql[2 * part + 1]);
            let qh = load(qh);
            let tops =
                [_mm256_slli_epi16(qh, 4), _mm256_slli_epi16(qh, 2), qh, _mm256_srli_epi16(qh, 2)];
            for (i, (low, qh)) in [low0, low1, high0, high1].into_iter().zip(tops).enumerate() {
                let code = _mm256_or_si256(low, _mm256_and_si256(qh, top));
                put(strip, row, 8 * b + 4 * part + i, code);
            }
        }
        let d = _mm256_set1_ps(half(block.d));
        for (part, scales) in block.scales.as_chunks::<8>().0.iter().enumerate() {
            let scales = i64::from_le_bytes(scales.map(|scale| scale as u8));
            let scales = _mm256_cvtepi8_epi32(_mm_cvtsi64_si128(scales));
            let scales = _mm256_mul_ps(d, _mm256_cvtepi32_ps(scales));
            scatter(&mut strip.scales, 16 * b + 8 * part, row, scales);
        }
    }
}
