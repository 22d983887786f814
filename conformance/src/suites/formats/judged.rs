//! `formats::reference::FORMAT`: our formula against ggml's recorded values. Only a formula that
//! agrees may judge the engine; [`formula`] hands it out on that condition and no other.

use super::same;
use crate::reference::formats;
use crate::suites::golden::recording::Recording;
use engine::quant::{FORMATS, Format};
use harness::{Case, Failure};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock};

/// The exact value of an element of a block.
pub(super) type Formula = fn(&str, &[u8], usize) -> Option<f64>;

pub(super) fn cases() -> Vec<Case> {
    let decoded = FORMATS.iter().filter(|format| format.decode().is_some() && format.name != "F32");
    let case = |format: &'static Format| {
        Case::new(format!("formats::reference::{}", format.name), move |run| {
            let Agreement { elements, deviations } = agree(format)?;
            run.figure("elements", elements as f64, "");
            deviations.into_iter().for_each(|(id, reason)| run.deviation(id, reason));
            Ok(())
        })
    };
    decoded.map(case).collect()
}

/// What comparing with a recording found.
struct Agreement {
    elements: usize,
    deviations: BTreeSet<Deviation>,
}

/// Id and reason of a difference from ggml that is kept on purpose.
type Deviation = (&'static str, &'static str);

const NEG_ZERO: Deviation = ("ggml-neg-zero", "code 8 is -0; ggml's table of integers makes it +0");
const E8M0_NAN: Deviation = ("ggml-e8m0-255", "scale byte 255 is NaN; ggml reads it as 2^128");
const UE4M3_NAN: Deviation =
    ("ggml-ue4m3-nan", "scale bytes 0x7F and 0xFF are NaN; ggml reads them as 0 and 480");

/// The formula, once it has agreed with the recording of `format`. F32 needs no judge but its
/// own bytes: nobody records the identity.
pub(super) fn formula(format: &'static Format) -> Result<Formula, Failure> {
    static AGREED: OnceLock<Mutex<BTreeMap<&str, Result<(), String>>>> = OnceLock::new();
    if format.name == "F32" {
        return Ok(formats::value);
    }
    let mut agreed = AGREED.get_or_init(Mutex::default).lock()?;
    let agreed = agreed
        .entry(format.name)
        .or_insert_with(|| agree(format).map(|_| ()).map_err(|failure| failure.text().to_owned()));
    match agreed {
        Ok(()) => Ok(formats::value),
        Err(why) => Err(format!("the formula that would judge {}: {why}", format.name).into()),
    }
}

/// Compares every recorded element.
fn agree(format: &Format) -> Result<Agreement, Failure> {
    let recording = Recording::open(&format!("quant/{}.safetensors", format.name))?;
    let (blocks, block_bytes) = recording.bytes("blocks")?;
    let (values, block_len) = recording.floats("values")?;
    if (block_bytes, block_len) != (format.block_bytes, format.block_len) {
        return Err(format!("ggml's block has {block_bytes} bytes for {block_len}").into());
    }
    let mut deviations = BTreeSet::new();
    for (at, recorded) in values.iter().enumerate() {
        let (index, i) = (at / block_len, at % block_len);
        let block = &blocks[index * block_bytes..][..block_bytes];
        let ours = formats::value(format.name, block, i).ok_or("no formula")? as f32;
        if same(ours, *recorded) {
            continue;
        }
        deviations.insert(declared(format.name, block, i, ours, *recorded).ok_or_else(|| {
            format!(
                "block {index} element {i}: formula {ours:e}, recorded {recorded:e}; {block:02x?}"
            )
        })?);
    }
    Ok(Agreement { elements: values.len(), deviations })
}

/// The difference that ggml is known to make here, if it differs exactly as known.
fn declared(format: &str, block: &[u8], i: usize, ours: f32, ggml: f32) -> Option<Deviation> {
    if ours == 0.0 && ours.is_sign_negative() && ggml.to_bits() == 0 {
        return ["MXFP4", "NVFP4"].contains(&format).then_some(NEG_ZERO);
    }
    // What ggml takes the NaN scale for. 2^128 is no f32, but it meets doubled elements there.
    let (deviation, code, scale) = match (format, block[i / 16 % 4]) {
        ("MXFP4", _) if block[0] == 255 => {
            (E8M0_NAN, block[1 + i % 16] >> (4 * (i / 16)), 2f64.powi(128))
        }
        ("NVFP4", byte @ (0x7F | 0xFF)) => {
            let code = block[4 + 8 * (i / 16) + i % 8] >> (4 * (i % 16 / 8));
            (UE4M3_NAN, code, if byte == 0x7F { 0.0 } else { 480.0 })
        }
        _ => return None,
    };
    let theirs = (formats::e2m1(u32::from(code & 15)) * scale) as f32;
    (ours.is_nan() && ggml == theirs).then_some(deviation)
}
