//! Block formats. One file per format; `FORMATS` is the only table of their numbers.
//! Knows blocks of bytes, not where they come from.

mod block;
mod check;
mod lines_fit;
mod mxfp4_encode;
mod q6_k_fit;

pub mod bf16;
pub mod convert;
pub mod encode;
pub mod f16;
pub mod f32;
pub mod iq4_nl;
pub mod iq4_xs;
pub mod mix;
pub mod mx;
pub mod mxfp4;
pub mod nvfp4;
pub mod q2_k;
pub mod q3_k;
pub mod q4_0;
pub mod q4_1;
pub mod q4_k;
pub mod q5_0;
pub mod q5_1;
pub mod q5_k;
pub mod q6_k;
pub mod q8_0;
pub mod simd;

use check::Stored::*;
pub use check::{Defect, Stored};
use encode::Encode;
use simd::{Kernel, Level};

/// Decodes whole blocks; the output has room for exactly their elements.
pub type Decode = fn(&[u8], &mut [f32]);

/// A tensor element format as GGUF numbers it.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// GGUF's type id.
    pub id: u32,
    /// Name as llama.cpp prints it, upper case.
    pub name: &'static str,
    /// Elements in one block; 1 for plain numbers.
    pub block_len: usize,
    /// Bytes of one block.
    pub block_bytes: usize,
    /// The decoder that is written to be read, and the truth for those in `vector`.
    pub scalar: Option<Decode>,
    /// Its faster twins, strongest first, equal to it bit for bit (NaNs: by class).
    vector: &'static [Kernel],
    /// The encoder.
    pub encode: Option<Encode>,
    /// Where a block holds numbers that can be NaN or infinite; see [`Format::check`].
    pub floats: &'static [Stored],
}

const fn format(id: u32, name: &'static str, block_len: usize, block_bytes: usize) -> Format {
    Format {
        id,
        name,
        block_len,
        block_bytes,
        scalar: None,
        vector: &[],
        encode: None,
        floats: &[],
    }
}

impl Format {
    const fn decodes(mut self, scalar: Decode) -> Self {
        self.scalar = Some(scalar);
        self
    }

    const fn faster(mut self, vector: &'static [Kernel]) -> Self {
        self.vector = vector;
        self
    }

    const fn holds(mut self, floats: &'static [Stored]) -> Self {
        self.floats = floats;
        self
    }

    const fn encodes(mut self, encode: Encode) -> Self {
        self.encode = Some(encode);
        self
    }

    /// The fastest decoder on this machine.
    pub fn decode(&self) -> Option<Decode> {
        self.decoders().map(|(_, decode)| decode).next()
    }

    /// Every decoder that this machine can run, fastest first; the last one is `scalar`.
    pub fn decoders(&self) -> impl Iterator<Item = (Level, Decode)> {
        let vector = self.vector.iter().filter(|(level, _)| level.available()).copied();
        vector.chain(self.scalar.map(|decode| (Level::Scalar, decode)))
    }
}

/// Every type id that a GGUF file may hold, in order of id. Ids 4, 5, 31–33 and 36–38 were
/// removed from the format and are unknown on purpose.
pub static FORMATS: &[Format] = &[
    format(0, "F32", 1, 4).holds(&[F32(0)]).decodes(f32::decode).encodes(f32::encode),
    format(1, "F16", 1, 2)
        .holds(&[F16(0)])
        .decodes(f16::decode)
        .faster(simd::F16)
        .encodes(f16::encode),
    format(2, "Q4_0", 32, 18)
        .holds(&[F16(0)])
        .decodes(q4_0::decode)
        .faster(simd::Q4_0)
        .encodes(q4_0::encode),
    format(3, "Q4_1", 32, 20)
        .holds(&[F16(0), F16(2)])
        .decodes(q4_1::decode)
        .faster(simd::Q4_1)
        .encodes(q4_1::encode),
    format(6, "Q5_0", 32, 22)
        .holds(&[F16(0)])
        .decodes(q5_0::decode)
        .faster(simd::Q5_0)
        .encodes(q5_0::encode),
    format(7, "Q5_1", 32, 24)
        .holds(&[F16(0), F16(2)])
        .decodes(q5_1::decode)
        .faster(simd::Q5_1)
        .encodes(q5_1::encode),
    format(8, "Q8_0", 32, 34)
        .holds(&[F16(0)])
        .decodes(q8_0::decode)
        .faster(simd::Q8_0)
        .encodes(q8_0::encode),
    format(9, "Q8_1", 32, 36).holds(&[F16(0), F16(2)]),
    format(10, "Q2_K", 256, 84).holds(&[F16(80), F16(82)]).decodes(q2_k::decode),
    format(11, "Q3_K", 256, 110).holds(&[F16(108)]).decodes(q3_k::decode).faster(simd::Q3_K),
    format(12, "Q4_K", 256, 144)
        .holds(&[F16(0), F16(2)])
        .decodes(q4_k::decode)
        .faster(simd::Q4_K)
        .encodes(q4_k::encode),
    format(13, "Q5_K", 256, 176)
        .holds(&[F16(0), F16(2)])
        .decodes(q5_k::decode)
        .faster(simd::Q5_K)
        .encodes(q5_k::encode),
    format(14, "Q6_K", 256, 210)
        .holds(&[F16(208)])
        .decodes(q6_k::decode)
        .faster(simd::Q6_K)
        .encodes(q6_k::encode),
    format(15, "Q8_K", 256, 292).holds(&[F32(0)]),
    format(16, "IQ2_XXS", 256, 66).holds(&[F16(0)]),
    format(17, "IQ2_XS", 256, 74).holds(&[F16(0)]),
    format(18, "IQ3_XXS", 256, 98).holds(&[F16(0)]),
    format(19, "IQ1_S", 256, 50).holds(&[F16(0)]),
    format(20, "IQ4_NL", 32, 18).holds(&[F16(0)]).decodes(iq4_nl::decode).faster(simd::IQ4_NL),
    format(21, "IQ3_S", 256, 110).holds(&[F16(0)]),
    format(22, "IQ2_S", 256, 82).holds(&[F16(0)]),
    format(23, "IQ4_XS", 256, 136).holds(&[F16(0)]).decodes(iq4_xs::decode).faster(simd::IQ4_XS),
    format(24, "I8", 1, 1),
    format(25, "I16", 1, 2),
    format(26, "I32", 1, 4),
    format(27, "I64", 1, 8),
    format(28, "F64", 1, 8).holds(&[F64(0)]),
    format(29, "IQ1_M", 256, 56).holds(&[F16InNibbles(48)]),
    format(30, "BF16", 1, 2).holds(&[Bf16(0)]).decodes(bf16::decode).encodes(bf16::encode),
    format(34, "TQ1_0", 256, 54).holds(&[F16(52)]),
    format(35, "TQ2_0", 256, 66).holds(&[F16(64)]),
    format(39, "MXFP4", 32, 17)
        .holds(&[E8m0(0)])
        .decodes(mxfp4::decode)
        .faster(simd::MXFP4)
        .encodes(mxfp4_encode::encode),
    format(40, "NVFP4", 64, 36)
        .holds(&[Ue4m3(0), Ue4m3(1), Ue4m3(2), Ue4m3(3)])
        .decodes(nvfp4::decode),
    format(41, "Q1_0", 128, 18).holds(&[F16(0)]),
    format(42, "Q2_0", 64, 18).holds(&[F16(0)]),
];

/// The format with GGUF type id `id`.
pub fn by_id(id: u32) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.id == id)
}

/// The format named `name`, in any case.
pub fn by_name(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name.eq_ignore_ascii_case(name))
}
