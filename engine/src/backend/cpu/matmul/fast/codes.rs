//! Blocks as what integer arithmetic needs: small codes, and a scale and a minimum for every group
//! of them. A value is `scale·(code − zero) + minimum`. Knows formats, not products.

use super::strip::{GROUP_ROWS, STRIP, Strip};
use crate::backend::cpu::level::Level;
use crate::quant::{
    Format, iq4_nl, iq4_xs, mx, mxfp4, nvfp4, q2_k, q3_k, q4_0, q4_1, q4_k, q5_0, q5_1, q5_k, q6_k,
    q8_0,
};
use bytemuck::Pod;
use half::f16;

/// Unpacks the blocks of up to a strip's columns of matrix row `row` of the eight.
pub(in super::super) type Unpack = fn(blocks: &[u8], row: usize, strip: &mut Strip);

/// How a format's codes are to be multiplied.
#[derive(Clone, Copy)]
pub(in super::super) struct Coded {
    /// Groups in 32 columns: 1 or 2.
    pub(in super::super) halves: usize,
    /// The code that stands for nothing. Codes are unsigned and at most 63, except wide ones.
    pub(in super::super) zero: i32,
    /// Whether codes are signed bytes of full width; their zero is 0.
    pub(in super::super) wide: bool,
    /// Whether groups have a minimum; if so, of how many bits codes are.
    pub(in super::super) mins: Option<i32>,
    pub(in super::super) unpack: Unpack,
}

const fn coded(halves: usize, zero: i32, unpack: Unpack) -> Coded {
    Coded { halves, zero, wide: false, mins: None, unpack }
}

impl Coded {
    const fn wide(mut self) -> Self {
        self.wide = true;
        self
    }

    const fn mins(mut self, bits: i32) -> Self {
        self.mins = Some(bits);
        self
    }
}

/// One row a format. For the codes of 5 and 6 bits, zero in the middle keeps sums in 16 bits.
macro_rules! table {
    ($module:path, $name:expr) => {{
        use $module as unpack;
        Some(match $name {
            "Q4_0" => coded(1, 8, unpack::q4_0),
            "Q4_1" => coded(1, 0, unpack::q4_1).mins(4),
            "Q5_0" => coded(1, 16, unpack::q5_0),
            "Q5_1" => coded(1, 16, unpack::q5_1).mins(5),
            "Q8_0" => coded(1, 0, unpack::q8_0).wide(),
            "Q2_K" => coded(2, 0, unpack::q2_k).mins(2),
            "Q3_K" => coded(2, 4, unpack::q3_k),
            "Q4_K" => coded(1, 0, unpack::q4_k).mins(4),
            "Q5_K" => coded(1, 16, unpack::q5_k).mins(5),
            "Q6_K" => coded(2, 32, unpack::q6_k),
            "IQ4_NL" => coded(1, 0, unpack::iq4_nl).wide(),
            "IQ4_XS" => coded(1, 0, unpack::iq4_xs).wide(),
            "MXFP4" => coded(1, E2M1_ZERO, unpack::mxfp4),
            "NVFP4" => coded(2, E2M1_ZERO, unpack::nvfp4),
            _ => return None,
        })
    }};
}

/// How to multiply a format's codes; none for plain numbers.
pub(in super::super) fn of(format: &Format, level: Level) -> Option<Coded> {
    #[cfg(target_arch = "x86_64")]
    if level >= Level::Avx2 {
        return table!(super::codes_avx2, format.name);
    }
    let _ = level;
    table!(super::codes, format.name)
}

/// The value of a stored 16-bit float.
fn half(stored: [u8; 2]) -> f32 {
    f16::from_le_bytes(stored).to_f32()
}

pub(in super::super) fn blocks<B: Pod>(bytes: &[u8]) -> impl Iterator<Item = &B> {
    bytes.chunks_exact(size_of::<B>()).map(bytemuck::from_bytes)
}

/// Low halves of sixteen bytes, then the high halves.
#[inline(always)]
fn nibbles(bytes: &[u8], out: &mut [u8], value: impl Fn(u8) -> u8) {
    let (low, high) = out.split_at_mut(bytes.len());
    for ((byte, low), high) in bytes.iter().zip(low).zip(high) {
        (*low, *high) = (value(byte & 15), value(byte >> 4));
    }
}

/// The zero of `E2M1`.
pub(in super::super) const E2M1_ZERO: i32 = 12;

/// Twelve more than twice the value of an E2M1 code.
pub(in super::super) const E2M1: [u8; 16] =
    [12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0];

#[inline(always)]
pub(in super::super) fn q4_0(bytes: &[u8], row: usize, strip: &mut Strip) {
    for (b, block) in blocks::<q4_0::Block>(bytes).enumerate() {
        nibbles(&block.qs, strip.codes(row, 32 * b, 32), |code| code);
        strip.scales[b][row] = half(block.d);
    }
}

#[inline(always)]
pub(in super::super) fn q4_1(bytes: &[u8], row: usize, strip: &mut Strip) {
    for (b, block) in blocks::<q4_1::Block>(bytes).enumerate() {
        nibbles(&block.qs, strip.codes(row, 32 * b, 32), |code| code);
        (strip.scales[b][row], strip.mins[b][row]) = (half(block.d), half(block.m));
    }
}

#[inline(always)]
fn fifths(qh: [u8; 4], out: &mut [u8]) {
    let qh = u32::from_le_bytes(qh);
    for (i, out) in out.iter_mut().enumerate() {
        *out |= ((qh >> i & 1) << 4) as u8;
    }
}

#[inline(always)]
pub(in super::super) fn q5_0(bytes: &[u8], row: usize, strip: &mut Strip) {
    for (b, block) in blocks::<q5_0::Block>(bytes).enumerate() {
        let out = strip.codes(row, 32 * b, 32);
        nibbles(&block.qs, out, |code| code);
        fifths(block.qh, out);
        strip.scales[b][row] = half(block.d);
    }
}

#[inline(always)]
pub(in super::super) fn q5_1(bytes: &[u8], row: usize, strip: &mut Strip) {
    for (b, block) in blocks::<q5_1::Block>(bytes).enumerate() {
        let out = strip.codes(row, 32 * b, 32);
        nibbles(&block.qs, out, |code| code);
        fifths(block.qh, out);
        let d = half(block.d);
        (strip.scales[b][row], strip.mins[b][row]) = (d, half(block.m) + 16.0 * d);
    }
}

#[inline(always)]
pub(in super::super) fn q8_0(bytes: &[u8], row: usize, strip: &mut Strip) {
    for (b, block) in blocks::<q8_0::Block>(bytes).enumerate() {
        let codes: &[u8; 32] = bytemuck::cast_ref(&block.qs);
        strip.codes(row, 32 * b, 32).copy_from_slice(codes);
        strip.scales[b][row] = half(block.d);
    }
}

#[inline(always)]
pub(in super::super) fn q2_k(bytes: &[u8], row: usize, strip: &mut Strip) {
    for (b, block) in blocks::<q2_k::Block>(bytes).enumerate() {
        let (d, dmin) = (half(block.d), half(block.dmin));
        for sub in 0..16 {
            let (start, shift) = (32 * (sub / 8) + 16 * (sub % 2), sub % 8 / 2 * 2);
            let out = strip.codes(row, 256 * b + 16 * sub, 16);
            for (out, byte) in out.iter_mut().zip(&block.qs[start..][..16]) {
                *out = byte >> shift & 3;
            }
            let scale = block.scales[sub];
            strip.scales[16 * b + sub][row] = d * f32::from(scale & 15);
            strip.mins[16 * b + sub][row] = -(dmin * f32::from(scale >> 4));
        }
    }
}

#[inline(always)]
pub(in super::super) fn q3_k(bytes: &[u8], row: usize, strip: &mut Strip) {
    for (b, block) in blocks::<q3_k::Block>(bytes).enumerate() {
        let d = half(block.d);
        for sub in 0..16 {
            let (start, shift) = (32 * (sub / 8) + 16 * (sub % 2), sub % 8 / 2 * 2);
            let thirds = &block.hmask[16 * (sub % 2)..][..16];
            let out = strip.codes(row, 256 * b + 16 * sub, 16);
            for ((out, byte), third) in out.iter_mut().zip(&block.qs[start..][..16]).zip(thirds) {
                *out = byte >> shift & 3 | (third >> (sub / 2) & 1) << 2;
            }
            strip.scales[16 * b + sub][row] = d * f32::from(q3_k::scale(&block.scales, sub));
        }
    }
}

#[inline(always)]
pub(in super::super) fn q4_k(bytes: &[u8], row: usize, strip: &mut Strip) {
    for (b, block) in blocks::<q4_k::Block>(bytes).enumerate() {
        for (pair, bytes) in block.qs.as_chunks::<32>().0.iter().enumerate() {
            nibbles(bytes, strip.codes(row, 256 * b + 64 * pair, 64), |code| code);
        }
        let (d, dmin) = (half(block.d), half(block.dmin));
        for sub in 0..8 {
            let (scale, min) = q4_k::scale_and_min(&block.scales, sub);
            strip.scales[8 * b + sub][row] = d * f32::from(scale);
            strip.mins[8 * b + sub][row] = -(dmin * f32::from(min));
        }
    }
}

#[inline(always)]
pub(in super::super) fn q5_k(bytes: &[u8], row: usize, strip: &mut Strip) {
    for (b, block) in blocks::<q5_k::Block>(bytes).enumerate() {
        let (d, dmin) = (half(block.d), half(block.dmin));
        for sub in 0..8 {
            let codes = block.qs[sub / 2 * 32..][..32].iter().zip(&block.qh);
            let out = strip.codes(row, 256 * b + 32 * sub, 32);
            for (out, (byte, fifth)) in out.iter_mut().zip(codes) {
                *out = byte >> (sub % 2 * 4) & 15 | (fifth >> sub & 1) << 4;
            }
            let (scale, min) = q4_k::scale_and_min(&block.scales, sub);
            let scale = d * f32::from(scale);
            strip.scales[8 * b + sub][row] = scale;
            strip.mins[8 * b + sub][row] = 16.0 * scale - dmin * f32::from(min);
        }
    }
}

#[inline(always)]
pub(in super::super) fn q6_k(bytes: &[u8], row: usize, strip: &mut Strip) {
    for (b, block) in blocks::<q6_k::Block>(bytes).enumerate() {
        let d = half(block.d);
        for sub in 0..16 {
            let (half, within) = (sub / 8, 16 * (sub % 8));
            let low = block.ql[64 * half + within % 64..][..16].iter();
            let high = block.qh[32 * half + within % 32..][..16].iter();
            let out = strip.codes(row, 256 * b + 16 * sub, 16);
            for ((out, low), high) in out.iter_mut().zip(low).zip(high) {
                *out = low >> (within / 64 * 4) & 15 | (high >> (within / 32 * 2) & 3) << 4;
            }
            strip.scales[16 * b + sub][row] = d * f32::from(block.scales[sub]);
        }
    }
}

#[inline(always)]
pub(in super::super) fn iq4_nl(bytes: &[u8], row: usize, strip: &mut Strip) {
    for (b, block) in blocks::<iq4_nl::Block>(bytes).enumerate() {
        let value = |index: u8| iq4_nl::VALUES[usize::from(index & 15)] as u8;
        nibbles(&block.qs, strip.codes(row, 32 * b, 32), value);
        strip.scales[b][row] = half(block.d);
    }
}

/// The scale of a sub-block.
#[inline(always)]
pub(in super::super) fn iq4_xs_scale(block: &iq4_xs::Block, sub: usize) -> f32 {
    let low = block.scales_l[sub / 2] >> (sub % 2 * 4) & 15;
    let high = (u16::from_le_bytes(block.scales_h) >> (2 * sub) & 3) as u8;
    f32::from((low | high << 4) as i8 - 32)
}

#[inline(always)]
pub(in super::super) fn iq4_xs(bytes: &[u8], row: usize, strip: &mut Strip) {
    for (b, block) in blocks::<iq4_xs::Block>(bytes).enumerate() {
        let d = half(block.d);
        let value = |index: u8| iq4_nl::VALUES[usize::from(index & 15)] as u8;
        for sub in 0..8 {
            nibbles(&block.qs[16 * sub..][..16], strip.codes(row, 256 * b + 32 * sub, 32), value);
            strip.scales[8 * b + sub][row] = d * iq4_xs_scale(block, sub);
        }
    }
}

#[inline(always)]
pub(in super::super) fn mxfp4(bytes: &[u8], row: usize, strip: &mut Strip) {
    for (b, block) in blocks::<mxfp4::Block>(bytes).enumerate() {
        let value = |code: u8| E2M1[usize::from(code & 15)];
        nibbles(&block.qs, strip.codes(row, 32 * b, 32), value);
        // Code 1 stands for one half.
        strip.scales[b][row] = mxfp4::VALUES[usize::from(block.e)][1];
    }
}

#[inline(always)]
pub(in super::super) fn nvfp4(bytes: &[u8], row: usize, strip: &mut Strip) {
    for (b, block) in blocks::<nvfp4::Block>(bytes).enumerate() {
        let value = |code: u8| E2M1[usize::from(code & 15)];
        for group in 0..4 {
            let out = strip.codes(row, 64 * b + 16 * group, 16);
            nibbles(&block.qs[8 * group..][..8], out, value);
            let scale = mx::ELEMENTS[0].value(block.d[group] & 127);
            strip.scales[4 * b + group][row] = 0.5 * scale;
        }
    }
}

const _: () = assert!(STRIP == 256 && GROUP_ROWS == 8);
