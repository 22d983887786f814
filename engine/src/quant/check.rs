//! Looks for stored numbers that are not numbers. Knows where a block keeps them, from the table
//! in `mod.rs`, not what the rest of a block means.

use super::{Format, mxfp4};
use std::fmt;

/// A number of a block that can be NaN or infinite, and the byte where it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// IEEE half precision.
    F16(usize),
    /// The upper half of an F32.
    Bf16(usize),
    /// IEEE single precision.
    F32(usize),
    /// IEEE double precision.
    F64(usize),
    /// Unsigned E4M3 of NVFP4: seven bits, all set is NaN.
    Ue4m3(usize),
    /// The half-precision scale of IQ1_M: the top nibbles of four 16-bit words, low nibble first.
    F16InNibbles(usize),
    /// MXFP4's scale: byte 255 is NaN. 253 and 254 are legal numbers, although large codes under
    /// them pass f32's largest: what overflows in a forward pass is an error there.
    E8m0(usize),
}

/// The first stored number of some data that is not a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defect {
    /// Which block.
    pub block: usize,
    /// Byte within the block.
    pub byte: usize,
    /// Its bits, as wide as it is stored.
    pub bits: u64,
    /// What it is: "an f16 NaN".
    pub what: &'static str,
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Defect { block, byte, bits, what } = self;
        write!(f, "block {block} holds {what}: {bits:#x} at its byte {byte}")
    }
}

impl Format {
    /// The first block of `data` that holds NaN or an infinity. A partial block at the end is not
    /// looked at.
    pub fn check(&self, data: &[u8]) -> Result<(), Defect> {
        let clean = self.clean_pages(data);
        let found = self.floats.iter().filter_map(|float| self.first(*float, &data[clean..]));
        let first = found.min_by_key(|defect| defect.block);
        let before = clean / self.block_bytes;
        first.map_or(Ok(()), |found| Err(Defect { block: found.block + before, ..found }))
    }

    /// How many bytes at the start are plain numbers without an exponent of all ones, in whole
    /// pages. A search leaves its loop at the first find, which keeps the compiler from using wide
    /// registers; this loop has no way out and runs as fast as memory.
    fn clean_pages(&self, data: &[u8]) -> usize {
        const PAGE: usize = 4096;
        const EXPONENT: u64 = 0x7FF << 52;
        fn none<const N: usize>(page: &[u8], bad: impl Fn([u8; N]) -> bool) -> bool {
            !page.as_chunks().0.iter().fold(false, |found, number| found | bad(*number))
        }
        let is_clean = |page: &&[u8]| match (self.floats, self.block_bytes) {
            ([Stored::F16(0)], 2) => none(page, |n| u16::from_le_bytes(n) & 0x7C00 == 0x7C00),
            ([Stored::Bf16(0)], 2) => none(page, |n| u16::from_le_bytes(n) & 0x7F80 == 0x7F80),
            ([Stored::F32(0)], 4) => {
                none(page, |n| u32::from_le_bytes(n) & 0x7F80_0000 == 0x7F80_0000)
            }
            ([Stored::F64(0)], 8) => none(page, |n| u64::from_le_bytes(n) & EXPONENT == EXPONENT),
            _ => false,
        };
        data.chunks_exact(PAGE).take_while(is_clean).count() * PAGE
    }

    // One pass a stored number, so that the inner loop does nothing but compare.
    fn first(&self, float: Stored, data: &[u8]) -> Option<Defect> {
        let blocks = || data.chunks_exact(self.block_bytes).enumerate();
        let ieee16 = |at: usize, exponent: u16, nan: &'static str, inf: &'static str| {
            let bits = |block: &[u8]| u16::from_le_bytes([block[at], block[at + 1]]);
            let (block, bits) = blocks()
                .map(|(i, block)| (i, bits(block)))
                .find(|(_, bits)| bits & exponent == exponent)?;
            let what = if bits & 0x7FFF == exponent { inf } else { nan };
            Some(Defect { block, byte: at, bits: bits.into(), what })
        };
        match float {
            Stored::F16(at) => ieee16(at, 0x7C00, "an f16 NaN", "an f16 infinity"),
            Stored::Bf16(at) => ieee16(at, 0x7F80, "a bf16 NaN", "a bf16 infinity"),
            Stored::F32(at) => blocks().find_map(|(block, bytes)| {
                let value = f32::from_le_bytes(*bytes[at..].first_chunk()?);
                let what = if value.is_nan() { "an f32 NaN" } else { "an f32 infinity" };
                let bits = value.to_bits().into();
                (!value.is_finite()).then_some(Defect { block, byte: at, bits, what })
            }),
            Stored::F64(at) => blocks().find_map(|(block, bytes)| {
                let value = f64::from_le_bytes(*bytes[at..].first_chunk()?);
                let what = if value.is_nan() { "an f64 NaN" } else { "an f64 infinity" };
                let bits = value.to_bits();
                (!value.is_finite()).then_some(Defect { block, byte: at, bits, what })
            }),
            Stored::Ue4m3(at) => {
                blocks().find(|(_, bytes)| bytes[at] & 127 == 127).map(|(block, bytes)| {
                    let bits = bytes[at].into();
                    Defect { block, byte: at, bits, what: "an unsigned E4M3 NaN scale" }
                })
            }
            Stored::F16InNibbles(at) => blocks().find_map(|(block, bytes)| {
                let nibble = |bits, word: usize| {
                    bits | u16::from(bytes[at + 2 * word + 1] >> 4) << (4 * word)
                };
                let bits = (0..4).fold(0, nibble);
                let defect = Defect {
                    block,
                    byte: at,
                    bits: bits.into(),
                    what: "an f16 scale that is no number",
                };
                (bits & 0x7C00 == 0x7C00).then_some(defect)
            }),
            Stored::E8m0(at) => {
                blocks().find(|(_, bytes)| bytes[at] == mxfp4::NAN_SCALE).map(|(block, _)| {
                    let bits = mxfp4::NAN_SCALE.into();
                    Defect { block, byte: at, bits, what: "an E8M0 NaN scale" }
                })
            }
        }
    }
}
