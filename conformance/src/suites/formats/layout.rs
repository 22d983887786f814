//! The two MXFP4 layouts: the same values in different places. Nothing else tests that a
//! repacked file means what the original meant.

use super::{Random, same};
use engine::quant::mxfp4;
use harness::{Case, Failure, Run};

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, body: fn(&mut Run) -> Result<(), Failure>| {
        Case::new(format!("formats::mxfp4::layout::{name}"), body).requirements(["C08", "N08"])
    };
    vec![
        case("repacked-decodes-alike", repacked_decodes_alike),
        case("every-place-every-code", every_place_every_code),
        case("wrong-lengths-are-refused", wrong_lengths_are_refused),
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
