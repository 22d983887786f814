//! One activation row, AVX2: matrix rows of plain numbers are widened in registers and multiplied
//! at once, so that a token costs one pass over a matrix. The values are those of the decoders in
//! `quant`, to the bit. Four matrix rows at a time, because the eight sums of fewer would wait for
//! each other.

#![allow(non_snake_case)] // a kernel has the name of its format
#![allow(clippy::needless_range_loop)] // one index counts in several arrays

use super::super::tree::Lanes;
use super::unpack::upper_halves;
use super::{Line, TILE};
use std::arch::x86_64::*;

/// A kernel from what eight stored numbers stand for. Loops, because a closure that goes through a
/// function of the standard library is compiled without these instructions, and then called.
macro_rules! lines {
    ($($name:ident: $number:ty, |$eight:ident| $values:expr)*) => {$(
        #[target_feature(enable = "avx2,fma,f16c")]
        fn $name(w: &[&[u8]; TILE], x: &[f32], sums: &mut [Lanes; TILE]) {
            let x = x.as_chunks::<8>().0.as_chunks::<2>().0;
            let mut rows: [&[[[$number; 8]; 2]]; TILE] = [&[]; TILE];
            for r in 0..TILE {
                rows[r] = &bytemuck::cast_slice(w[r])[..x.len()];
            }
            let ahead = TILE * w[0].len();
            let mut own = [[_mm256_setzero_ps(); 2]; TILE];
            for (at, x) in x.iter().enumerate() {
                let x = [floats(&x[0]), floats(&x[1])];
                for r in 0..TILE {
                    let lanes = &rows[r][at];
                    fetch(lanes, ahead);
                    for half in 0..2 {
                        let $eight = &lanes[half];
                        own[r][half] = _mm256_fmadd_ps($values, x[half], own[r][half]);
                    }
                }
            }
            for r in 0..TILE {
                put(&mut sums[r], own[r]);
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
    F32: [u8; 4], |eight| stored(eight)
    F16: [u8; 2], |eight| halves(eight)
    BF16: [u8; 2], |eight| upper_halves(eight)
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn floats(eight: &[f32; 8]) -> __m256 {
    // SAFETY: eight floats.
    unsafe { _mm256_loadu_ps(eight.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn stored(eight: &[[u8; 4]; 8]) -> __m256 {
    // SAFETY: 32 bytes, which need no alignment.
    unsafe { _mm256_loadu_ps(eight.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn halves(eight: &[[u8; 2]; 8]) -> __m256 {
    // SAFETY: 16 bytes.
    _mm256_cvtph_ps(unsafe { _mm_loadu_si128(eight.as_ptr().cast()) })
}

/// Asks for memory so far behind some numbers: what is multiplied after this tile.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn fetch<L>(lanes: &L, distance: usize) {
    _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(lanes).cast::<i8>().wrapping_add(distance));
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn put(sums: &mut Lanes, all: [__m256; 2]) {
    // SAFETY: sixteen floats.
    unsafe {
        _mm256_storeu_ps(sums.0.as_mut_ptr(), all[0]);
        _mm256_storeu_ps(sums.0.as_mut_ptr().add(8), all[1]);
    }
}
