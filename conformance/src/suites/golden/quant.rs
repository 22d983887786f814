//! Our block formats against ggml's own row functions, bit for bit. Knows the declared deviations
//! and asserts of each exactly which elements differ and how; everything else must be equal.

use super::recording::Recording;
use engine::quant::{self, Decode, Format};
use harness::{Case, Failure, Run};
use sha2::{Digest, Sha256};

const DECODED: [&str; 15] = [
    "BF16", "F16", "IQ4_NL", "IQ4_XS", "MXFP4", "Q2_K", "Q3_K", "Q4_0", "Q4_1", "Q4_K", "Q5_0",
    "Q5_1", "Q5_K", "Q6_K", "Q8_0",
];

pub(super) fn cases() -> Vec<Case> {
    let decode = |name: &'static str| {
        Case::new(format!("golden::quant::{name}::decode"), move |run| decode(name, run))
    };
    DECODED.into_iter().map(decode).collect()
}

/// How ggml's value of an element relates to ours.
#[derive(Clone, Copy, PartialEq)]
enum Relation {
    /// Equal bits, or both NaN: payloads differ between hardware and software conversions.
    Equal,
    /// MXFP4's code 8 is −0; ggml's table of integers makes it +0.
    NegZero,
    /// MXFP4's scale byte 255 is NaN; ggml reads it as twice the scale of byte 254.
    Scale255,
}

impl Relation {
    /// What the specification of the format says of element `element` of `block`.
    fn of(format: &Format, block: &[u8], element: usize) -> Self {
        if format.name != "MXFP4" {
            return Self::Equal;
        }
        match (block[0], mxfp4_code(block, element)) {
            (255, _) => Self::Scale255,
            (_, 8) => Self::NegZero,
            _ => Self::Equal,
        }
    }

    fn holds(self, block: &[u8], element: usize, ours: f32, ggml: f32) -> bool {
        match self {
            Self::Equal => ours.to_bits() == ggml.to_bits() || ours.is_nan() && ggml.is_nan(),
            Self::NegZero => ours.to_bits() == (-0.0f32).to_bits() && ggml.to_bits() == 0,
            Self::Scale255 => {
                const DOUBLED: [f32; 8] = [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0];
                let code = mxfp4_code(block, element);
                let magnitude = DOUBLED[usize::from(code % 8)] * 2.0f32.powi(127);
                let negative = code > 8; // code 8 is +0 here too
                let theirs = if negative { -magnitude } else { magnitude };
                ours.is_nan() && ggml.to_bits() == theirs.to_bits()
            }
        }
    }

    fn declare(self, run: &mut Run) {
        match self {
            Self::Equal => {}
            Self::NegZero => run.deviation(
                "ggml-neg-zero",
                "code 8 is -0 (OCP MX 1.0); ggml decodes through a table of integers, so +0",
            ),
            Self::Scale255 => run.deviation(
                "ggml-e8m0-255",
                "scale 255 is NaN (OCP MX 1.0); ggml's dequantiser takes it for 2^128",
            ),
        }
    }
}

fn mxfp4_code(block: &[u8], element: usize) -> u8 {
    block[1 + element % 16] >> (4 * (element / 16)) & 15
}

fn decode(name: &str, run: &mut Run) -> Result<(), Failure> {
    let recording = Recording::open(&format!("quant/{name}.safetensors"))?;
    let format = quant::by_name(name).ok_or("the engine does not know this format")?;
    if format.scalar.is_none() {
        return Err("the engine does not decode this format".into());
    }
    for (level, decoder) in format.decoders() {
        let judged = compare(&recording, format, decoder, run);
        judged.map_err(|failure| format!("{level:?} decoder: {}", failure.text()))?;
        if format.block_len == 1 {
            every_code(&recording, format, decoder)?;
        }
    }
    Ok(())
}

fn compare(
    recording: &Recording,
    format: &Format,
    decoder: Decode,
    run: &mut Run,
) -> Result<(), Failure> {
    let (blocks, block_bytes) = recording.bytes("blocks")?;
    let (values, block_len) = recording.floats("values")?;
    if (block_bytes, block_len) != (format.block_bytes, format.block_len) {
        let ours = (format.block_bytes, format.block_len);
        let theirs = (block_bytes, block_len);
        return Err(format!("block bytes and length: ours {ours:?}, ggml's {theirs:?}").into());
    }
    let mut ours = vec![f32::from_bits(0x5555_5555); values.len()];
    decoder(blocks, &mut ours);
    let mut wrong = Vec::new();
    for (index, block) in blocks.chunks(block_bytes).enumerate() {
        for element in 0..block_len {
            let at = index * block_len + element;
            let relation = Relation::of(format, block, element);
            relation.declare(run);
            if !relation.holds(block, element, ours[at], values[at]) {
                wrong.push(at);
            }
        }
    }
    run.figure("elements", values.len() as f64, "");
    let Some(first) = wrong.first().copied() else { return Ok(()) };
    let (index, element) = (first / block_len, first % block_len);
    let block = &blocks[index * block_bytes..][..block_bytes];
    let (got, want) = (ours[first], values[first]);
    Err(format!(
        "{} of {} elements differ from ggml's; first: block {index} ({}), element {element}: \
         ours {got:e} (0x{:08x}), ggml's {want:e} (0x{:08x}); block {block:02x?}",
        wrong.len(),
        values.len(),
        recording.group(index)?,
        got.to_bits(),
        want.to_bits(),
    )
    .into())
}

/// All 65,536 codes of a 16-bit format at once, by digest; the stored values say where to look.
fn every_code(recording: &Recording, format: &Format, decoder: Decode) -> Result<(), Failure> {
    let codes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    let mut values = vec![0.0; 1 << 16];
    decoder(&codes, &mut values);
    let canonical = |value: &f32| if value.is_nan() { 0x7fc0_0000 } else { value.to_bits() };
    let bytes: Vec<u8> = values.iter().flat_map(|value| canonical(value).to_le_bytes()).collect();
    let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let recorded = recording.metadata("every-code-sha256")?;
    if digest != recorded {
        let name = format.name;
        return Err(
            format!("{name}: digest of every code: ours {digest}, ggml's {recorded}").into()
        );
    }
    Ok(())
}
