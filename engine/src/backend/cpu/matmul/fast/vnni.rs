//! AVX-512 with VNNI: four 8-bit products, or two of 16 bits, go to a 32-bit sum at a time,
//! and two panels are the halves of one register. The whole numbers, and so the bits, are those of
//! AVX2, whose panels these are.

#![allow(clippy::needless_range_loop)] // one index counts in several arrays

use super::avx2;
use super::codes::Coded;
use super::kernels::{Kernels, Sums, Tile};
use super::panel::{ABREAST, Panel, REGISTERS, Register};
use super::rounded::Row;
use super::strip::GROUP_ROWS;
use std::arch::x86_64::*;

/// Tiles of each of these numbers of activation rows: with eight, sums and wholes are sixteen of 32
/// registers, and the compiler keeps none in memory.
macro_rules! tiles {
    ($wide:literal, $halves:literal, $mins:literal, $($x:literal)*) => {{
        const TILES: &[Tile] = &[$(
            // SAFETY: reached through `kernels::of` alone, for a level that the machine has.
            |panels, x, sums| unsafe { tile::<$x, $wide, $halves, $mins>(panels, x, sums) },
        )*];
        TILES
    }};
    ($wide:literal, $halves:literal, $mins:literal) => {
        tiles!($wide, $halves, $mins, 1 2 3 4 5 6 7 8)
    };
}

pub(super) fn of(coded: &Coded) -> Kernels {
    let tiles = match (coded.wide, coded.halves, coded.mins.is_some()) {
        (true, ..) => tiles!(true, 1, false),
        (_, 1, false) => tiles!(false, 1, false),
        (_, 1, true) => tiles!(false, 1, true),
        (.., false) => tiles!(false, 2, false),
        (.., true) => tiles!(false, 2, true),
    };
    let Kernels { short, tiles: narrower } = avx2::of(coded);
    Kernels { short, tiles: narrower.map(|(_, arrange)| (tiles, arrange)) }
}

/// The same register of both panels.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn both(first: &Register, last: &Register) -> __m512i {
    // SAFETY: 32 bytes each, aligned to as many.
    let load = |it: &Register| unsafe { _mm256_load_si256(it.0.as_ptr().cast()) };
    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(load(first)), load(last))
}

/// What both panels have for each of their rows.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn sixteen(first: &[f32; GROUP_ROWS], last: &[f32; GROUP_ROWS]) -> __m512 {
    // SAFETY: eight doubles' worth of bytes, of which each has half.
    let load = |it: &[f32; GROUP_ROWS]| unsafe { _mm256_loadu_pd(it.as_ptr().cast()) };
    _mm512_castpd_ps(_mm512_insertf64x4::<1>(_mm512_castpd256_pd512(load(first)), load(last)))
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn tile<const X: usize, const WIDE: bool, const HALVES: usize, const MINS: bool>(
    panels: &[&Panel; ABREAST],
    x: &[Row],
    sums: &mut [[Sums; ABREAST]],
) {
    let registers = if WIDE { 2 * REGISTERS } else { REGISTERS };
    let [a, b] = panels;
    let (n, x) = (a.codes.len() / registers, &x[..X]);
    let mut acc = [_mm512_setzero_ps(); X];
    for block in 0..n {
        let own = block * registers..(block + 1) * registers;
        let (a_codes, b_codes) = (&a.codes[own.clone()], &b.codes[own]);
        for h in 0..HALVES {
            let mut wholes = [_mm512_setzero_si512(); X];
            for i in 0..X {
                wholes[i] = _mm512_set1_epi32(x[i].blocks[block].offsets[h]);
            }
            for k in h * registers / HALVES..(h + 1) * registers / HALVES {
                let w = both(&a_codes[k], &b_codes[k]);
                for i in 0..X {
                    wholes[i] = if WIDE {
                        let two = &x[i].wide[block].codes.as_chunks::<2>().0[k];
                        _mm512_dpwssd_epi32(wholes[i], w, _mm512_set1_epi32(bytemuck::cast(*two)))
                    } else {
                        let four = &x[i].blocks[block].codes.as_chunks::<4>().0[k];
                        _mm512_dpbusd_epi32(wholes[i], w, _mm512_set1_epi32(bytemuck::cast(*four)))
                    };
                }
            }
            let group = block * HALVES + h;
            let scales = sixteen(&a.scales[group], &b.scales[group]);
            for i in 0..X {
                let x = &x[i].blocks[block];
                let scale = _mm512_mul_ps(scales, _mm512_set1_ps(x.scale));
                acc[i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(wholes[i]), scale, acc[i]);
                if MINS {
                    let mins = sixteen(&a.mins[group], &b.mins[group]);
                    acc[i] = _mm512_fmadd_ps(mins, _mm512_set1_ps(x.sums[h]), acc[i]);
                }
            }
        }
    }
    for i in 0..X {
        // SAFETY: two times eight floats in a row.
        unsafe { _mm512_storeu_ps(sums[i].as_mut_ptr().cast(), acc[i]) };
    }
}
