//! Blocks to decode: seeded bytes with sane and with arbitrary scales, and every special value of
//! every scale field. Knows where a format keeps its scales, and nothing else of it.

use super::Groups;
use crate::random::Random;
use half::f16;

/// How a format spells its scales.
enum Scales {
    /// No blocks: every element is a number of its own.
    Number,
    /// f16 fields at these offsets.
    Half(&'static [usize]),
    /// One E8M0 byte in front.
    E8m0,
    /// Four unsigned E4M3 bytes in front.
    Ue4m3,
}

pub(super) struct Layout {
    pub(super) name: &'static str,
    scales: Scales,
}

const fn half(name: &'static str, offsets: &'static [usize]) -> Layout {
    Layout { name, scales: Scales::Half(offsets) }
}

/// Every recorded format. Offsets are those of ggml-common.h's structs.
pub(super) static LAYOUTS: &[Layout] = &[
    Layout { name: "F16", scales: Scales::Number },
    Layout { name: "BF16", scales: Scales::Number },
    half("Q4_0", &[0]),
    half("Q4_1", &[0, 2]),
    half("Q5_0", &[0]),
    half("Q5_1", &[0, 2]),
    half("Q8_0", &[0]),
    half("Q2_K", &[80, 82]),
    half("Q3_K", &[108]),
    half("Q4_K", &[0, 2]),
    half("Q5_K", &[0, 2]),
    half("Q6_K", &[208]),
    half("IQ4_NL", &[0]),
    half("IQ4_XS", &[0]),
    Layout { name: "MXFP4", scales: Scales::E8m0 },
    Layout { name: "NVFP4", scales: Scales::Ue4m3 },
];

/// Where f16 changes its nature.
const SPECIAL: [(&str, u16); 12] = [
    ("0", 0x0000),
    ("-0", 0x8000),
    ("smallest-subnormal", 0x0001),
    ("largest-subnormal", 0x83ff),
    ("smallest-normal", 0x0400),
    ("1", 0x3c00),
    ("largest", 0x7bff),
    ("-largest", 0xfbff),
    ("inf", 0x7c00),
    ("-inf", 0xfc00),
    ("quiet-nan", 0x7e00),
    ("signalling-nan", 0x7c01),
];

/// Blocks and what they are.
pub(super) struct Blocks {
    pub(super) bytes: Vec<u8>,
    pub(super) groups: Groups,
}

impl Blocks {
    fn push(&mut self, group: &str, block: &[u8]) {
        self.bytes.extend_from_slice(block);
        match self.groups.last_mut().filter(|(name, _)| name == group) {
            Some((_, count)) => *count += 1,
            None => self.groups.push((group.into(), 1)),
        }
    }
}

pub(super) fn all(layout: &Layout, block_bytes: usize, seed: u64) -> Blocks {
    let mut random = Random::new(seed, layout.name);
    let mut blocks = Blocks { bytes: Vec::new(), groups: Groups::new() };
    match layout.scales {
        Scales::Number => numbers(&mut blocks, &mut random),
        Scales::Half(offsets) => halves(&mut blocks, &mut random, offsets, block_bytes),
        Scales::E8m0 => e8m0(&mut blocks, &mut random),
        Scales::Ue4m3 => ue4m3(&mut blocks, &mut random),
    }
    blocks
}

/// Both ends of every power of two and of the NaNs, of both signs, and random codes.
fn numbers(blocks: &mut Blocks, random: &mut Random) {
    for high in 0..=u8::MAX {
        for low in [0x00, 0x01, 0x7f, 0x80, 0xff] {
            blocks.push("edges", &[low, high]);
        }
    }
    for _ in 0..1024 {
        blocks.push("random", &random.bits().to_le_bytes()[..2]);
    }
}

fn halves(blocks: &mut Blocks, random: &mut Random, offsets: &[usize], block_bytes: usize) {
    let mut block = vec![0; block_bytes];
    let count = if block_bytes > 64 { 20 } else { 96 };
    for _ in 0..count {
        random.fill(&mut block);
        for offset in offsets {
            put(&mut block, *offset, f16::from_f32(random.gaussian() * 0.02).to_bits());
        }
        blocks.push("sane-scales", &block);
    }
    for _ in 0..count {
        random.fill(&mut block);
        blocks.push("arbitrary-bytes", &block);
    }
    for (field, offset) in ["d", "m"].iter().zip(offsets) {
        for (special, bits) in SPECIAL {
            for codes in ["00", "ff", "random"] {
                match codes {
                    "00" => block.fill(0),
                    "ff" => block.fill(0xff),
                    _ => random.fill(&mut block),
                }
                offsets.iter().for_each(|other| put(&mut block, *other, 0x3c00));
                put(&mut block, *offset, bits);
                blocks.push(&format!("{field}={special},codes={codes}"), &block);
            }
        }
    }
    // A zero scale must not silence the minimum, nor the other way round.
    if let [d, m] = offsets {
        for (group, d_bits, m_bits) in
            [("d=0,m=0", 0, 0), ("d=-0,m=-0", 0x8000, 0x8000), ("d=inf,m=inf", 0x7c00, 0x7c00)]
        {
            random.fill(&mut block);
            put(&mut block, *d, d_bits);
            put(&mut block, *m, m_bits);
            blocks.push(group, &block);
        }
    }
}

/// Every scale with every code in each half of the block, which also tells the halves apart.
fn e8m0(blocks: &mut Blocks, random: &mut Random) {
    let mut block = [0; 17];
    for scale in 0..=u8::MAX {
        block[0] = scale;
        for code in 0..16 {
            block[1 + usize::from(code)] = code | ((code * 7 + 3) % 16) << 4;
        }
        blocks.push("every-scale-every-code", &block);
    }
    for group in ["sane-scales", "arbitrary-bytes"] {
        for _ in 0..96 {
            random.fill(&mut block);
            if group == "sane-scales" {
                block[0] = 118 + random.below(16) as u8;
            }
            blocks.push(group, &block);
        }
    }
}

fn ue4m3(blocks: &mut Blocks, random: &mut Random) {
    let mut block = [0; 36];
    for first in (0..=u8::MAX).step_by(4) {
        for part in 0..4u8 {
            block[usize::from(part)] = first + part;
            for pair in 0..8u8 {
                let code = |place: u8| (place * 7 + 3 * part) % 16;
                let at = 4 + usize::from(part * 8 + pair);
                block[at] = code(pair) | code(pair + 8) << 4;
            }
        }
        blocks.push("every-scale-every-code", &block);
    }
    for _ in 0..96 {
        random.fill(&mut block);
        blocks.push("arbitrary-bytes", &block);
    }
}

fn put(block: &mut [u8], offset: usize, bits: u16) {
    block[offset..offset + 2].copy_from_slice(&bits.to_le_bytes());
}
