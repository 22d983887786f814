//! AVX2 for rows of plain numbers, eight of which lie together: their products with one row of
//! activations, and what makes walls of them.

use super::NEAR;
use super::avx2::store;
use super::kernels::{Fill, Line};
use super::lines::fetch;
use super::placed::{Block, CHAINS, ORDER};
use crate::backend::cpu::matmul::fast::strip::{BLOCK, GROUP_ROWS};
use crate::backend::cpu::matmul::lanes::Lanes;
use std::arch::x86_64::*;

/// Kernels from what eight stored numbers stand for.
macro_rules! kernels {
    ($($name:literal: $kernel:ident $fill:ident, $bytes:literal, |$eight:ident| $values:expr)*) => {
        $(#[target_feature(enable = "avx2,fma,f16c")]
        fn $kernel(w: &[u8], x: &[Block], sums: &mut [f32; GROUP_ROWS]) {
            let blocks: &[[[u8; GROUP_ROWS * $bytes]; BLOCK]] = bytemuck::cast_slice(w);
            let mut acc = _mm256_setzero_ps();
            for (blocks, x) in blocks.chunks(NEAR).zip(x.chunks(NEAR)) {
                let mut chains = [_mm256_setzero_ps(); CHAINS];
                for (w, x) in blocks.iter().zip(x) {
                    fetch(w, 0, 1);
                    for (w, x) in w.as_chunks::<4>().0.iter().zip(x.values.as_chunks::<4>().0) {
                        for j in 0..4 {
                            let $eight = &w[j];
                            let x = _mm256_set1_ps(x[ORDER[j]]);
                            chains[j / 2] = _mm256_fmadd_ps($values, x, chains[j / 2]);
                        }
                    }
                }
                acc = _mm256_add_ps(_mm256_add_ps(chains[0], chains[1]), acc);
            }
            // SAFETY: eight floats.
            unsafe { _mm256_storeu_ps(sums.as_mut_ptr(), acc) };
        })*

        $(#[target_feature(enable = "avx2,fma,f16c")]
        fn $fill(w: &[u8], half: usize, wall: &mut [Lanes]) {
            for ($eight, out) in w.as_chunks::<{ GROUP_ROWS * $bytes }>().0.iter().zip(wall) {
                store(out, half, $values);
            }
        })*

        /// The kernels for a format, on a machine that has AVX2, FMA and F16C.
        pub(super) fn of(format: &str) -> Option<(Line, Fill)> {
            match format {
                $($name => Some((
                    // SAFETY: the caller vouches for the machine.
                    |w, x, sums| unsafe { $kernel(w, x, sums) },
                    // SAFETY: as above.
                    |w, half, wall| unsafe { $fill(w, half, wall) },
                )),)*
                _ => None,
            }
        }
    };
}

kernels! {
    "F32": f32 fill_f32, 4, |eight| stored(eight)
    "F16": f16 fill_f16, 2, |eight| _mm256_cvtph_ps(halves(eight))
    "BF16": bf16 fill_bf16, 2, |eight| upper(halves(eight))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn stored(eight: &[u8; 32]) -> __m256 {
    // SAFETY: 32 bytes, which need no alignment.
    unsafe { _mm256_loadu_ps(eight.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn halves(eight: &[u8; 16]) -> __m128i {
    // SAFETY: 16 bytes, which need no alignment.
    unsafe { _mm_loadu_si128(eight.as_ptr().cast()) }
}

/// Numbers of which the lower halves are zeros.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn upper(halves: __m128i) -> __m256 {
    _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16))
}
