//! Random blocks of every format that can be decoded: all codes random, the scales set so that the
//! values have a wanted standard deviation and no mean. Making them is as fast as writing bytes,
//! which encoding real numbers is not. Knows where a format keeps its scales; what a block then
//! means is asked of the decoder, so that no factor is worked out by hand.

use super::random::{Key, Random};
use crate::quant::{Decode, FORMATS, Format, mx, q4_k};
use half::{bf16, f16};
use std::sync::OnceLock;

/// How to finish a block of random bytes at a scale.
type Finish = fn(block: &mut [u8], scale: f32, random: &mut Random);

/// Values of a format at random.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    format: &'static Format,
    finish: Finish,
    scale: f32,
    /// Added to each value; plain numbers only.
    mean: f32,
}

/// Blocks to measure a format's unscaled deviation on; with 2^18 values it is good to 0.2 %.
const SAMPLE_ELEMENTS: usize = 1 << 18;
/// By type id: measured once.
static MEASURED: [OnceLock<f32>; 64] = [const { OnceLock::new() }; 64];

impl Recipe {
    /// Values of standard deviation `std` around `mean`, or none where the format cannot be made at
    /// random, or cannot hold a mean.
    pub fn new(format: &'static Format, mean: f32, std: f32) -> Option<Self> {
        let (finish, decode) = (finish(format)?, format.decode()?);
        if mean != 0.0 && format.block_len > 1 {
            return None;
        }
        let unscaled = Recipe { format, finish, scale: 1.0, mean: 0.0 };
        let measured = MEASURED.get(format.id as usize)?;
        let deviation = measured.get_or_init(|| unscaled.deviation(decode));
        Some(Recipe { scale: std / deviation, mean, ..unscaled })
    }

    /// Names of all formats that can be made.
    pub fn names() -> Vec<&'static str> {
        let made = FORMATS.iter().filter(|format| finish(format).is_some());
        made.map(|format| format.name).collect()
    }

    /// Fills `bytes` with whole blocks, the first of which is number `first` of the tensor.
    pub fn fill(&self, key: Key, first: u64, bytes: &mut [u8]) {
        // A block of a plain number is too small to be worth a counter of its own.
        let unit = self.format.block_bytes * self.blocks_a_counter();
        debug_assert!((first as usize).is_multiple_of(self.blocks_a_counter()));
        let first = first / self.blocks_a_counter() as u64;
        for (index, group) in bytes.chunks_mut(unit).enumerate() {
            let mut random = key.block(first + index as u64);
            random.fill(group);
            for block in group.chunks_exact_mut(self.format.block_bytes) {
                (self.finish)(block, self.scale, &mut random);
                if self.mean != 0.0 {
                    self.shift(block);
                }
            }
        }
    }

    /// How many blocks share a counter; pieces start at whole multiples.
    pub fn blocks_a_counter(&self) -> usize {
        if self.format.block_len == 1 { 64 } else { 1 }
    }

    fn shift(&self, block: &mut [u8]) {
        match self.format.name {
            "F16" => put(block, 0, f16::from_f32(get_f16(block) + self.mean).to_le_bytes()),
            "BF16" => put(block, 0, bf16::from_f32(get_bf16(block) + self.mean).to_le_bytes()),
            _ => put(block, 0, (get_f32(block) + self.mean).to_le_bytes()),
        }
    }

    fn deviation(&self, decode: Decode) -> f32 {
        let blocks = SAMPLE_ELEMENTS / self.format.block_len;
        let mut bytes = vec![0; blocks * self.format.block_bytes];
        self.fill(Key::new(0, self.format.name), 0, &mut bytes);
        let mut values = vec![0.0; blocks * self.format.block_len];
        decode(&bytes, &mut values);
        let energy: f64 = values.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        (energy / values.len() as f64).sqrt() as f32
    }
}

fn put<const N: usize>(block: &mut [u8], at: usize, bytes: [u8; N]) {
    block[at..at + N].copy_from_slice(&bytes);
}

fn put_half(block: &mut [u8], at: usize, value: f32) {
    put(block, at, f16::from_f32(value).to_le_bytes());
}

fn get_f16(block: &[u8]) -> f32 {
    f16::from_le_bytes([block[0], block[1]]).to_f32()
}

fn get_bf16(block: &[u8]) -> f32 {
    bf16::from_le_bytes([block[0], block[1]]).to_f32()
}

fn get_f32(block: &[u8]) -> f32 {
    f32::from_le_bytes([block[0], block[1], block[2], block[3]])
}

/// A scale between three and five quarters of what is asked for, so that no two blocks are alike.
fn jittered(scale: f32, random: &mut Random) -> f32 {
    scale * (0.75 + 0.5 * random.unit())
}

/// The same with a random sign: it takes out the half step by which codes lean to one side, which
/// would add up over a row.
fn signed(scale: f32, random: &mut Random) -> f32 {
    let scale = jittered(scale, random);
    if random.bits() >> 63 == 1 { -scale } else { scale }
}

/// Random bits as a number of [−1, 1).
fn uniform(bits: u32) -> f32 {
    bits as i32 as f32 / (1u32 << 31) as f32
}

fn finish(format: &Format) -> Option<Finish> {
    Some(match format.name {
        "F32" => |block, scale, _| {
            let bits = u32::from_le_bytes([block[0], block[1], block[2], block[3]]);
            put(block, 0, (scale * uniform(bits)).to_le_bytes());
        },
        "F16" => |block, scale, _| {
            let bits = u32::from(u16::from_le_bytes([block[0], block[1]])) << 16;
            put(block, 0, f16::from_f32(scale * uniform(bits)).to_le_bytes());
        },
        "BF16" => |block, scale, _| {
            let bits = u32::from(u16::from_le_bytes([block[0], block[1]])) << 16;
            put(block, 0, bf16::from_f32(scale * uniform(bits)).to_le_bytes());
        },
        "Q4_0" | "Q5_0" | "Q8_0" | "IQ4_NL" | "IQ4_XS" => |block, scale, random| {
            put_half(block, 0, signed(scale, random));
        },
        "Q4_1" => |block, scale, random| with_offset(block, signed(scale, random), 7.5),
        "Q5_1" => |block, scale, random| with_offset(block, signed(scale, random), 15.5),
        "Q2_K" => |block, scale, random| {
            // The same four bits for scale and minimum: the mean of a sub-block is nothing.
            block[..16].iter_mut().for_each(|byte| *byte = *byte & 15 | *byte << 4);
            let scale = jittered(scale, random);
            put_half(block, 80, scale);
            put_half(block, 82, 1.5 * scale);
        },
        // Scales of both signs, so that the codes' lean is a sub-block's own.
        "Q3_K" => |block, scale, random| put_half(block, 108, signed(scale, random)),
        "Q6_K" => |block, scale, random| put_half(block, 208, signed(scale, random)),
        "Q4_K" => |block, scale, random| with_minima(block, jittered(scale, random), 7.5),
        "Q5_K" => |block, scale, random| with_minima(block, jittered(scale, random), 15.5),
        "MXFP4" => |block, scale, random| block[0] = power(scale, random),
        "NVFP4" => |block, scale, random| {
            block[..4].iter_mut().for_each(|byte| *byte = ue4m3(jittered(scale, random)));
        },
        _ => return None,
    })
}

/// Scale, and the offset that puts the middle code at nothing.
fn with_offset(block: &mut [u8], scale: f32, middle: f32) {
    put_half(block, 0, scale);
    put_half(block, 2, -middle * scale);
}

/// The eight sub-blocks of Q4_K and Q5_K: minima about as large as the scales, so that each
/// sub-block leans its own way, and all of them together none.
fn with_minima(block: &mut [u8], scale: f32, middle: f32) {
    put_half(block, 0, scale);
    put_half(block, 2, middle * scale);
    let scales: [u8; 8] = std::array::from_fn(|sub| 16 + block[4 + sub] % 44);
    let bits = block[12];
    let minima = std::array::from_fn(|sub| match bits >> sub & 1 {
        0 => scales[sub] - 2,
        _ => scales[sub] + 2,
    });
    put(block, 4, q4_k::pack(&scales, &minima));
}

/// An E8M0 scale: one of the two powers of two around `scale`, by chance, such that the mean
/// square is that of `scale`.
fn power(scale: f32, random: &mut Random) -> u8 {
    let floor = scale.log2().floor();
    let above = scale / floor.exp2();
    let up = random.unit() < (above * above - 1.0) / 3.0;
    (floor + 127.0 + f32::from(u8::from(up))).clamp(0.0, 254.0) as u8
}

/// The unsigned E4M3 code nearest `scale`, never NaN.
fn ue4m3(scale: f32) -> u8 {
    let value = |code: u8| mx::ELEMENTS[0].value(code);
    let (mut low, mut high) = (0, 126);
    while high - low > 1 {
        let middle = (low + high) / 2;
        if value(middle) <= scale {
            low = middle;
        } else {
            high = middle;
        }
    }
    if scale - value(low) <= value(high) - scale { low } else { high }
}
