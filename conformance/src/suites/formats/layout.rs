//! The two MXFP4 layouts: the same values in different places. Nothing else tests that a
//! repacked file means what the original meant.

use super::{Random, same};
use crate::reference::formats;
use engine::loader::gguf::Writer;
use engine::loader::{Gguf, SafeTensors};
use engine::quant::{self, mxfp4};
use harness::{Case, Failure, Run};

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, body: fn(&mut Run) -> Result<(), Failure>| {
        Case::new(format!("formats::mxfp4::layout::{name}"), body).requirements(["C08", "N08"])
    };
    vec![
        case("repacked-decodes-alike", repacked_decodes_alike),
        case("every-place-every-code", every_place_every_code),
        case("wrong-lengths-are-refused", wrong_lengths_are_refused),
        case("both-loaders-agree", both_loaders_agree),
    ]
}

/// Decodes both ways and compares all elements.
fn alike(blocks: &[u8], scales: &[u8]) -> Result<Vec<f32>, Failure> {
    let packed = mxfp4::repack_hf(blocks, scales)?;
    let mut original = vec![0.0; 32 * scales.len()];
    let mut repacked = vec![1.0; 32 * scales.len()];
    mxfp4::decode_hf(blocks, scales, &mut original);
    mxfp4::decode(&packed, &mut repacked);
    match original.iter().zip(&repacked).position(|(a, b)| !same(*a, *b)) {
        None => Ok(original),
        Some(at) => {
            let (a, b) = (original[at], repacked[at]);
            Err(format!("element {at}: {a:e} in HF's layout, {b:e} repacked").into())
        }
    }
}

/// Any bytes under any scale, 255 included.
fn repacked_decodes_alike(run: &mut Run) -> Result<(), Failure> {
    let mut random = Random(8);
    let count = 4096;
    alike(&random.bytes(16 * count), &random.bytes(count))?;
    run.figure("blocks", count as f64, "");
    Ok(())
}

/// One non-zero code at a time: the element it lands on shows the layout without any table.
/// Hugging Face: byte i/2, low half first. GGUF: byte 1 + i mod 16, first half of elements low.
fn every_place_every_code(_: &mut Run) -> Result<(), Failure> {
    for i in 0..32 {
        for code in 1..16u8 {
            let mut adjacent = [0; 16];
            adjacent[i / 2] = code << (4 * (i % 2));
            let packed = mxfp4::repack_hf(&adjacent, &[127])?;
            let mut want = [0; 17];
            (want[0], want[1 + i % 16]) = (127, code << (4 * (i / 16)));
            if packed != want {
                return Err(
                    format!("element {i} code {code}: {packed:02x?}, not {want:02x?}").into()
                );
            }
            let values = alike(&adjacent, &[127])?;
            let elsewhere = |at: &usize| *at != i && values[*at].to_bits() != 0;
            if values[i].to_bits() == 0 || (0..32).any(|at| elsewhere(&at)) {
                return Err(format!("element {i} code {code} decodes to {values:?}").into());
            }
        }
    }
    Ok(())
}

fn wrong_lengths_are_refused(_: &mut Run) -> Result<(), Failure> {
    for (blocks, scales) in [(15, 1), (16, 0), (16, 2), (33, 2), (0, 1)] {
        let error = match mxfp4::repack_hf(&vec![0; blocks], &vec![0; scales]) {
            Ok(_) => return Err(format!("{blocks} bytes for {scales} scales accepted").into()),
            Err(error) => error.to_string(),
        };
        if ![blocks, scales].iter().all(|number| error.contains(&number.to_string())) {
            return Err(format!("without the numbers {blocks} and {scales}: {error}").into());
        }
    }
    Ok(())
}

/// Two rows of two blocks, no two blocks alike, as a file of each kind: both loaders find the
/// values that the codes and scales stand for, in the same places.
fn both_loaders_agree(_: &mut Run) -> Result<(), Failure> {
    let scales = [120u8, 0, 127, 200];
    let code = |block: usize, i: usize| ((i + i / 16 * 5 + block * 3) % 16) as u8;
    let want = (0..128).map(|at| {
        let (block, i) = (at / 32, at % 32);
        formats::mxfp4(scales[block].into(), code(block, i).into()) as f32
    });
    let want: Vec<f32> = want.collect();
    let folder = tempfile::TempDir::new()?;

    let pair = |block, a, b| code(block, a) | code(block, b) << 4;
    let adjacent = (0..64).map(|byte| pair(byte / 16, byte % 16 * 2, byte % 16 * 2 + 1));
    let header = concat!(
        r#"{"w_blocks":{"dtype":"U8","shape":[2,2,16],"data_offsets":[0,64]},"#,
        r#""w_scales":{"dtype":"U8","shape":[2,2],"data_offsets":[64,68]}}"#
    );
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes().chain(adjacent).chain(scales));
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, file)?;
    let file = SafeTensors::open(&path)?;
    let pairs = file.mxfp4()?;
    let [shipped] = pairs.as_slice() else {
        return Err(format!("{} pairs", pairs.len()).into());
    };
    let mut values = vec![1.0; 128];
    mxfp4::decode_hf(shipped.blocks, shipped.scales, &mut values);
    equal("safetensors", &values, &want)?;

    let split = (0..4).flat_map(|block| {
        let codes = (0..16).map(move |j| pair(block, j, j + 16));
        std::iter::once(scales[block]).chain(codes)
    });
    let format = quant::by_name("MXFP4").ok_or("no MXFP4")?;
    let path = folder.path().join("model.gguf");
    Writer::new().tensor("w", format, &[64, 2], split.collect::<Vec<u8>>()).write(&path)?;
    let file = Gguf::open(&path)?;
    let view = file.tensor("w").ok_or("no tensor w")?;
    let decode = view.info.format.decode().ok_or("not decoded")?;
    decode(view.data, &mut values);
    equal("GGUF", &values, &want)?;
    let repacked = mxfp4::repack_hf(shipped.blocks, shipped.scales)?;
    (repacked == view.data).then_some(()).ok_or_else(|| "repacked, the bytes differ".into())
}

fn equal(what: &str, values: &[f32], want: &[f32]) -> Result<(), Failure> {
    match values.iter().zip(want).position(|(a, b)| a.to_bits() != b.to_bits()) {
        None => Ok(()),
        Some(at) => {
            Err(format!("{what}: element {at}: {:e}, must be {:e}", values[at], want[at]).into())
        }
    }
}
