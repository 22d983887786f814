//! Decoders against ggml's row dequantisers, element by element.

use super::super::recording::Recording;
use super::path;
use engine::quant::{self, Decode, Format};
use harness::{Failure, Run};
use sha2::{Digest, Sha256};

/// How ggml's value of an element relates to ours.
#[derive(Clone, Copy)]
enum Relation {
    /// Equal bits, or both NaN: payloads differ between hardware and software conversions.
    Equal,
    /// −0 here, +0 there.
    NegZero,
    /// NaN here, this value there.
    Nan(&'static str, f32),
}

const E8M0_NAN: &str = "ggml-e8m0-255";
const UE4M3_NAN: &str = "ggml-ue4m3-nan";

/// What the four bits of E2M1 mean, doubled, as ggml's table of integers has it: code 8 is +0.
const DOUBLED: [f32; 16] =
    [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 0.0, -1.0, -2.0, -3.0, -4.0, -6.0, -8.0, -12.0];

impl Relation {
    /// What the specification of the format says of element `element` of `block`.
    fn of(format: &Format, block: &[u8], element: usize) -> Self {
        match format.name {
            "MXFP4" => {
                let code = block[1 + element % 16] >> (4 * (element / 16)) & 15;
                let theirs = DOUBLED[usize::from(code)] * 2.0f32.powi(127);
                Self::scaled(code, (block[0] == 255).then_some((E8M0_NAN, theirs)))
            }
            "NVFP4" => {
                let (group, place) = (element / 16, element % 16);
                let code = block[4 + 8 * group + place % 8] >> (4 * (place / 8)) & 15;
                let doubled = DOUBLED[usize::from(code)];
                // ggml reads scale byte 0x7F as 0, and 0xFF, which it does not expect, as 480.
                let nan = match block[group] {
                    0x7f => Some((UE4M3_NAN, doubled * 0.0)),
                    0xff => Some((UE4M3_NAN, doubled * 240.0)),
                    _ => None,
                };
                Self::scaled(code, nan)
            }
            _ => Self::Equal,
        }
    }

    fn scaled(code: u8, nan: Option<(&'static str, f32)>) -> Self {
        match nan {
            Some((deviation, theirs)) => Self::Nan(deviation, theirs),
            None if code == 8 => Self::NegZero,
            None => Self::Equal,
        }
    }

    fn holds(self, ours: f32, ggml: f32) -> bool {
        match self {
            Self::Equal => ours.to_bits() == ggml.to_bits() || ours.is_nan() && ggml.is_nan(),
            Self::NegZero => ours.to_bits() == (-0.0f32).to_bits() && ggml.to_bits() == 0,
            Self::Nan(_, theirs) => ours.is_nan() && ggml.to_bits() == theirs.to_bits(),
        }
    }

    fn declare(self, run: &mut Run) {
        let (id, reason) = match self {
            Self::Equal => return,
            Self::NegZero => (
                "ggml-neg-zero",
                "code 8 is -0 (OCP MX 1.0); ggml decodes through a table of integers, so +0",
            ),
            Self::Nan(E8M0_NAN, _) => {
                (E8M0_NAN, "scale byte 255 is NaN (OCP MX 1.0); ggml takes it for 2^128")
            }
            Self::Nan(..) => (
                UE4M3_NAN,
                "scale 0x7F of E4M3 is NaN; ggml takes it for 0, and for 480 with the top bit set",
            ),
        };
        run.deviation(id, reason);
    }
}

pub(super) fn judge(name: &str, run: &mut Run) -> Result<(), Failure> {
    let recording = Recording::open(&path(name))?;
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
            if !relation.holds(ours[at], values[at]) {
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
