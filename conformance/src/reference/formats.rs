//! The exact value of one element of a block, straight from its bits, in f64. Every value of
//! every format fits an f64 exactly, and every decoder must return it rounded once to f32.

use super::minifloat::{self, Top};

/// The value of element `i` of a block of `format`; none for a format without a formula here.
pub fn value(format: &str, block: &[u8], i: usize) -> Option<f64> {
    let b = Bits(block);
    let (half, pair) = (i % 128 / 32, i / 128);
    Some(match format {
        "F32" => f32::from_bits(b.at(0, 0, 32)).into(),
        "F16" => b.half(0),
        "BF16" => f32::from_bits(b.at(0, 0, 16) << 16).into(),
        "Q4_0" => (b.int(2 + i % 16, 4 * (i / 16), 4) - 8.0) * b.half(0),
        "Q4_1" => b.int(4 + i % 16, 4 * (i / 16), 4) * b.half(0) + b.half(2),
        "Q5_0" => {
            let code = b.int(6 + i % 16, 4 * (i / 16), 4) + 16.0 * b.int(2, i, 1);
            (code - 16.0) * b.half(0)
        }
        "Q5_1" => {
            let code = b.int(8 + i % 16, 4 * (i / 16), 4) + 16.0 * b.int(4, i, 1);
            code * b.half(0) + b.half(2)
        }
        "Q8_0" => b.signed(2 + i) * b.half(0),
        "Q2_K" => {
            let code = b.int(16 + 32 * pair + i % 32, 2 * half, 2);
            b.half(80) * b.int(i / 16, 0, 4) * code - b.half(82) * b.int(i / 16, 4, 4)
        }
        "Q3_K" => {
            let s = i / 16;
            let scale =
                b.int(96 + s % 8, 4 * (s / 8), 4) + 16.0 * b.int(104 + s % 4, 2 * (s / 4), 2);
            let code = b.int(32 + 32 * pair + i % 32, 2 * half, 2) + 4.0 * b.int(i % 32, i / 32, 1);
            b.half(108) * (scale - 32.0) * (code - 4.0)
        }
        "Q4_K" => {
            let (scale, min) = b.six_bit_pair(4, i / 32);
            let code = b.int(16 + 32 * (i / 64) + i % 32, 4 * (i / 32 % 2), 4);
            b.half(0) * scale * code - b.half(2) * min
        }
        "Q5_K" => {
            let (scale, min) = b.six_bit_pair(4, i / 32);
            let low = b.int(48 + 32 * (i / 64) + i % 32, 4 * (i / 32 % 2), 4);
            let code = low + 16.0 * b.int(16 + i % 32, i / 32, 1);
            b.half(0) * scale * code - b.half(2) * min
        }
        "Q6_K" => {
            let low = b.int(64 * pair + i % 64, 4 * (i % 128 / 64), 4);
            let code = low + 16.0 * b.int(128 + 32 * pair + i % 32, 2 * half, 2);
            b.half(208) * b.signed(192 + i / 16) * (code - 32.0)
        }
        "IQ4_NL" => b.half(0) * uneven(b.at(2 + i % 16, 4 * (i / 16), 4)),
        "IQ4_XS" => {
            let s = i / 32;
            let scale = b.int(4 + s / 2, 4 * (s % 2), 4) + 16.0 * b.int(2, 2 * s, 2);
            let index = b.at(8 + 16 * s + i % 16, 4 * (i % 32 / 16), 4);
            b.half(0) * (scale - 32.0) * uneven(index)
        }
        "MXFP4" => mxfp4(b.at(0, 0, 8), b.at(1 + i % 16, 4 * (i / 16), 4)),
        "NVFP4" => {
            let scale = minifloat::value(b.at(i / 16, 0, 7), 4, 3, Top::OneNan);
            scale * e2m1(b.at(4 + 8 * (i / 16) + i % 8, 4 * (i % 16 / 8), 4))
        }
        _ => return None,
    })
}

/// An E2M1 element.
pub fn e2m1(code: u32) -> f64 {
    minifloat::value(code, 2, 1, Top::Numbers)
}

/// An E8M0 scale.
pub fn e8m0(byte: u32) -> f64 {
    if byte == 255 { f64::NAN } else { 2f64.powi(byte as i32 - 127) }
}

/// An E2M1 element under an E8M0 scale.
pub fn mxfp4(scale: u32, code: u32) -> f64 {
    e8m0(scale) * e2m1(code)
}

/// The uneven steps of IQ4_NL and IQ4_XS.
fn uneven(index: u32) -> f64 {
    let below = [127, 104, 83, 65, 49, 35, 22, 10];
    let above = [1, 13, 25, 38, 53, 69, 89, 113];
    match index as usize {
        i @ 0..8 => -f64::from(below[i]),
        i => f64::from(above[i - 8]),
    }
}

/// A block as a string of bits, the lowest bit of each byte first.
struct Bits<'a>(&'a [u8]);

impl Bits<'_> {
    fn at(&self, byte: usize, bit: usize, width: usize) -> u32 {
        let from = &self.0[byte + bit / 8..];
        let word = from.iter().take(4).rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        let kept = if width == 32 { u32::MAX } else { (1 << width) - 1 };
        word >> (bit % 8) & kept
    }

    fn int(&self, byte: usize, bit: usize, width: usize) -> f64 {
        self.at(byte, bit, width).into()
    }

    fn signed(&self, byte: usize) -> f64 {
        let value = self.int(byte, 0, 8);
        if value > 127.0 { value - 256.0 } else { value }
    }

    fn half(&self, byte: usize) -> f64 {
        minifloat::f16(self.at(byte, 0, 16) as u16)
    }

    /// Scale and minimum of sub-block `s` of Q4_K and Q5_K.
    fn six_bit_pair(&self, byte: usize, s: usize) -> (f64, f64) {
        if s < 4 {
            return (self.int(byte + s, 0, 6), self.int(byte + 4 + s, 0, 6));
        }
        let (scale, min) = (self.int(byte + 4 + s, 0, 4), self.int(byte + 4 + s, 4, 4));
        let (scale_top, min_top) = (self.int(byte + s - 4, 6, 2), self.int(byte + s, 6, 2));
        (scale + 16.0 * scale_top, min + 16.0 * min_top)
    }
}
