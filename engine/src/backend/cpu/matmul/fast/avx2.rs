//! AVX2: 8-bit products in pairs. Narrow codes are small enough for a whole group's products to be
//! added up in 16 bits; wide ones are widened first.

#![allow(clippy::needless_range_loop)] // one index counts in several arrays

use super::codes::Coded;
use super::kernels::{Kernels, Sums, Tile};
use super::panel::{ABREAST, Panel, REGISTERS, Register};
use super::rounded::{Block, Row, Wide};
use super::strip::{BLOCK, Codes, GROUP_ROWS, STRIP, Strip};
use std::arch::asm;
use std::arch::x86_64::*;

macro_rules! kernels {
    ($wide:literal, $halves:literal, $mins:literal) => {{
        const TILES: &[Tile] = &[
            // SAFETY: reached through `kernels::of` alone, for a level that the machine has.
            |panels, x, sums| unsafe { tile::<1, $wide, $halves, $mins>(panels, x, sums) },
            // SAFETY: as above.
            |panels, x, sums| unsafe { tile::<2, $wide, $halves, $mins>(panels, x, sums) },
            // SAFETY: as above.
            |panels, x, sums| unsafe { tile::<3, $wide, $halves, $mins>(panels, x, sums) },
            // SAFETY: as above.
            |panels, x, sums| unsafe { tile::<4, $wide, $halves, $mins>(panels, x, sums) },
        ];
        Kernels {
            // SAFETY: as above.
            short: |strip, n_blocks, x, sums| unsafe {
                short::<$wide, $halves, $mins>(strip, n_blocks, x, sums)
            },
            // SAFETY: as above.
            tiles: Some((TILES, |strip, n_blocks, first, panel| unsafe {
                arrange::<$wide, $halves, $mins>(strip, n_blocks, first, panel)
            })),
        }
    }};
}

pub(super) fn of(coded: &Coded) -> Kernels {
    match (coded.wide, coded.halves, coded.mins.is_some()) {
        (true, ..) => kernels!(true, 1, false),
        (_, 1, false) => kernels!(false, 1, false),
        (_, 1, true) => kernels!(false, 1, true),
        (.., false) => kernels!(false, 2, false),
        (.., true) => kernels!(false, 2, true),
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn register(register: &Register) -> __m256i {
    // SAFETY: 32 bytes, aligned to as many.
    unsafe { _mm256_load_si256(register.0.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn eight(values: &[f32; GROUP_ROWS]) -> __m256 {
    // SAFETY: eight floats.
    unsafe { _mm256_loadu_ps(values.as_ptr()) }
}

/// Block `block` of a row of codes.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn block(codes: &Codes, block: usize) -> __m256i {
    debug_assert!(block < STRIP / BLOCK);
    let blocks: &[[u8; BLOCK]; STRIP / BLOCK] = bytemuck::cast_ref(&codes.0);
    // SAFETY: a strip has eight blocks of 32 bytes, and no caller asks for more.
    unsafe { _mm256_loadu_si256(blocks.get_unchecked(block).as_ptr().cast()) }
}

/// Adds one group of products to eight sums, and its minimum's.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn add(whole: __m256i, scales: __m256, x_scale: f32, sums: __m256) -> __m256 {
    let scale = _mm256_mul_ps(scales, _mm256_set1_ps(x_scale));
    _mm256_fmadd_ps(_mm256_cvtepi32_ps(whole), scale, sums)
}

#[target_feature(enable = "avx2,fma")]
fn short<const WIDE: bool, const HALVES: usize, const MINS: bool>(
    strip: &Strip,
    n_blocks: usize,
    x: &Row,
    sums: &mut Sums,
) {
    let ones = _mm256_set1_epi16(1);
    let mut acc = eight(sums);
    let scales = strip.scales.as_chunks::<HALVES>().0;
    let mins = strip.mins.as_chunks::<HALVES>().0;
    let x = &x.blocks[..n_blocks];
    for (b, ((x, scales), mins)) in x.iter().zip(scales).zip(mins).enumerate() {
        // SAFETY: 32 bytes.
        let x_codes = unsafe { _mm256_loadu_si256(x.codes.as_ptr().cast()) };
        // Products of four neighbouring columns, eight of them a row.
        let fours = |row: usize| {
            let codes = block(&strip.codes[row], b);
            let pairs = if WIDE {
                // The sign moves over, because one factor must have none.
                _mm256_maddubs_epi16(_mm256_abs_epi8(codes), _mm256_sign_epi8(x_codes, codes))
            } else {
                _mm256_maddubs_epi16(codes, x_codes)
            };
            _mm256_madd_epi16(pairs, ones)
        };
        let eights = |row: usize| _mm256_hadd_epi32(fours(row), fours(row + 1));
        // The lower four lanes hold sums of columns 0–15 of four rows, the upper four of 16–31.
        let first = _mm256_hadd_epi32(eights(0), eights(2));
        let last = _mm256_hadd_epi32(eights(4), eights(6));
        let low = _mm256_permute2x128_si256(first, last, 0x20);
        let high = _mm256_permute2x128_si256(first, last, 0x31);
        let wholes = if HALVES == 1 { [_mm256_add_epi32(low, high), low] } else { [low, high] };
        for h in 0..HALVES {
            let whole = _mm256_add_epi32(wholes[h], _mm256_set1_epi32(x.offsets[h]));
            acc = add(whole, eight(&scales[h]), x.scale, acc);
            if MINS {
                acc = _mm256_fmadd_ps(eight(&mins[h]), _mm256_set1_ps(x.sums[h]), acc);
            }
        }
    }
    // SAFETY: eight floats.
    unsafe { _mm256_storeu_ps(sums.as_mut_ptr(), acc) };
}

/// Four neighbouring bytes, in every lane.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn spread<T: bytemuck::Pod>(codes: &[T; BLOCK], four: usize) -> __m256i {
    debug_assert!(4 * (four + 1) <= size_of_val(codes));
    // SAFETY: within the array, as above.
    _mm256_set1_epi32(unsafe { codes.as_ptr().cast::<i32>().add(four).read_unaligned() })
}

#[target_feature(enable = "avx2,fma")]
fn tile<const X: usize, const WIDE: bool, const HALVES: usize, const MINS: bool>(
    panels: &[&Panel; ABREAST],
    x: &[Row],
    sums: &mut [[Sums; ABREAST]],
) {
    let acc = if WIDE { wide::<X>(panels, x) } else { narrow::<X, HALVES, MINS>(panels, x) };
    for i in 0..X {
        for p in 0..ABREAST {
            // SAFETY: eight floats.
            unsafe { _mm256_storeu_ps(sums[i][p].as_mut_ptr(), acc[i][p]) };
        }
    }
}

/// The same whole numbers, worked out after those before and before those after. The compiler would
/// finish one sum after the other, and for that keep more registers than there are in memory.
#[inline]
#[target_feature(enable = "avx2")]
fn in_turn(mut wholes: __m256i) -> __m256i {
    // SAFETY: nothing is executed; what comes out is what went in.
    unsafe {
        asm!("/* {0} */", inout(ymm_reg) wholes, options(nomem, nostack, preserves_flags));
    }
    wholes
}

/// Blocks of so many registers, and their groups, of all panels; as many as `n` at most.
macro_rules! of_both {
    ($panels:ident, $field:ident, $len:expr, $n:ident) => {
        [
            &$panels[0].$field.as_chunks::<{ $len }>().0[..$n],
            &$panels[1].$field.as_chunks::<{ $len }>().0[..$n],
        ]
    };
}

/// Whole numbers are added up for all rows of a block first: a register of activations is then
/// read once for two panels, and one of codes once for all activation rows.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn narrow<const X: usize, const HALVES: usize, const MINS: bool>(
    panels: &[&Panel; ABREAST],
    x: &[Row],
) -> [[__m256; ABREAST]; X] {
    let ones = _mm256_set1_epi16(1);
    let n = panels[0].codes.len() / REGISTERS;
    let codes = of_both!(panels, codes, REGISTERS, n);
    let scales = of_both!(panels, scales, HALVES, n);
    let mins = of_both!(panels, mins, HALVES, n);
    let mut rows: [&[Block]; X] = [&[]; X];
    for i in 0..X {
        rows[i] = &x[i].blocks[..n];
    }
    let mut acc = [[_mm256_setzero_ps(); ABREAST]; X];
    for b in 0..n {
        for h in 0..HALVES {
            let mut wholes = [[_mm256_setzero_si256(); ABREAST]; X];
            for i in 0..X {
                wholes[i] = [_mm256_set1_epi32(bytemuck::cast(rows[i][b].pairs[h])); ABREAST];
            }
            for k in h * REGISTERS / HALVES..(h + 1) * REGISTERS / HALVES {
                let w = [register(&codes[0][b][k]), register(&codes[1][b][k])];
                for i in 0..X {
                    let x = spread(&rows[i][b].codes, k);
                    for p in 0..ABREAST {
                        let products = _mm256_maddubs_epi16(w[p], x);
                        wholes[i][p] = in_turn(_mm256_add_epi16(wholes[i][p], products));
                    }
                }
            }
            for p in 0..ABREAST {
                let scales = eight(&scales[p][b][h]);
                for i in 0..X {
                    let whole = _mm256_madd_epi16(wholes[i][p], ones);
                    acc[i][p] = add(whole, scales, rows[i][b].scale, acc[i][p]);
                    if MINS {
                        let sum = _mm256_set1_ps(rows[i][b].sums[h]);
                        acc[i][p] = _mm256_fmadd_ps(eight(&mins[p][b][h]), sum, acc[i][p]);
                    }
                }
            }
        }
    }
    acc
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn wide<const X: usize>(panels: &[&Panel; ABREAST], x: &[Row]) -> [[__m256; ABREAST]; X] {
    let n = panels[0].codes.len() / (2 * REGISTERS);
    let codes = of_both!(panels, codes, 2 * REGISTERS, n);
    let scales = of_both!(panels, scales, 1, n);
    let mut rows: [&[Wide]; X] = [&[]; X];
    for i in 0..X {
        rows[i] = &x[i].wide[..n];
    }
    let mut acc = [[_mm256_setzero_ps(); ABREAST]; X];
    for b in 0..n {
        let mut wholes = [[_mm256_setzero_si256(); ABREAST]; X];
        for k in 0..2 * REGISTERS {
            let w = [register(&codes[0][b][k]), register(&codes[1][b][k])];
            for i in 0..X {
                let x = spread(&rows[i][b].codes, k);
                for p in 0..ABREAST {
                    let products = _mm256_madd_epi16(w[p], x);
                    wholes[i][p] = in_turn(_mm256_add_epi32(wholes[i][p], products));
                }
            }
        }
        for p in 0..ABREAST {
            let scales = eight(&scales[p][b][0]);
            for i in 0..X {
                acc[i][p] = add(wholes[i][p], scales, rows[i][b].scale, acc[i][p]);
            }
        }
    }
    acc
}

/// Columns of four bytes become registers.
#[target_feature(enable = "avx2,fma")]
fn arrange<const WIDE: bool, const HALVES: usize, const MINS: bool>(
    strip: &Strip,
    n_blocks: usize,
    first: usize,
    panel: &mut Panel,
) {
    let registers = if WIDE { 2 * REGISTERS } else { REGISTERS };
    let out = &mut panel.codes[first * registers..][..n_blocks * registers];
    for (b, out) in out.chunks_exact_mut(registers).enumerate() {
        let rows: [__m256i; GROUP_ROWS] = std::array::from_fn(|row| block(&strip.codes[row], b));
        let (low, high) = out.split_at_mut(REGISTERS);
        if WIDE {
            store(low, turn(rows.map(|r| _mm256_cvtepi8_epi16(_mm256_castsi256_si128(r)))));
            store(high, turn(rows.map(|r| _mm256_cvtepi8_epi16(_mm256_extracti128_si256(r, 1)))));
        } else {
            store(low, turn(rows));
        }
    }
    let groups = n_blocks * HALVES;
    panel.scales[first * HALVES..][..groups].copy_from_slice(&strip.scales[..groups]);
    if MINS {
        panel.mins[first * HALVES..][..groups].copy_from_slice(&strip.mins[..groups]);
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn store(out: &mut [Register], values: [__m256i; REGISTERS]) {
    for (out, value) in out.iter_mut().zip(values) {
        // SAFETY: 32 bytes, aligned to as many.
        unsafe { _mm256_store_si256(out.0.as_mut_ptr().cast(), value) };
    }
}

/// Rows of eight 32-bit numbers to columns.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn turn(r: [__m256i; 8]) -> [__m256i; 8] {
    let low = |i: usize| _mm256_unpacklo_epi32(r[i], r[i + 1]);
    let high = |i: usize| _mm256_unpackhi_epi32(r[i], r[i + 1]);
    let pairs = [low(0), high(0), low(2), high(2), low(4), high(4), low(6), high(6)];
    let left = |i: usize| _mm256_unpacklo_epi64(pairs[i], pairs[i + 2]);
    let right = |i: usize| _mm256_unpackhi_epi64(pairs[i], pairs[i + 2]);
    let fours = [left(0), right(0), left(1), right(1), left(4), right(4), left(5), right(5)];
    let near = |i: usize| _mm256_permute2x128_si256(fours[i], fours[i + 4], 0x20);
    let far = |i: usize| _mm256_permute2x128_si256(fours[i], fours[i + 4], 0x31);
    [near(0), near(1), near(2), near(3), far(0), far(1), far(2), far(3)]
}
