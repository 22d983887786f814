//! Records what ggml's row functions make of blocks and rows, one file per format. Knows which
//! formats are recorded; `blocks` and `rows` know the inputs.

mod blocks;
mod rows;

use crate::area::Recording;
use crate::digest::sha256;
use crate::ggml::{self, Type};
use crate::safetensors::{File, Tensor};
use crate::{Result, quant::blocks::Layout};
use std::collections::BTreeMap;

/// Names a group of consecutive blocks or rows, so that a red case can say what it was fed.
type Groups = Vec<(String, usize)>;

const SEED: u64 = 20_260_801;
const ENCODED: [&str; 9] =
    ["MXFP4", "Q4_0", "Q4_1", "Q4_K", "Q5_0", "Q5_1", "Q5_K", "Q6_K", "Q8_0"];

pub(crate) fn record() -> Result<Recording> {
    let rows = rows::all(SEED);
    let mut files = BTreeMap::new();
    let floats = Tensor::floats(&[rows.values.len() / rows::WIDTH, rows::WIDTH], &rows.values);
    let rows_digest = sha256(&floats.data);
    let mut file = File { metadata: ggml::provenance(), ..File::default() };
    file.metadata.insert("oracle".into(), "none: seeded inputs of the encoders".into());
    file.metadata.insert("groups".into(), serde_json::to_string(&rows.groups)?);
    file.metadata.insert("seed".into(), SEED.to_string());
    file.tensors.insert("rows".into(), floats);
    files.insert("quant/rows.safetensors".into(), file.write()?);
    for layout in blocks::LAYOUTS {
        let mut file = decode(layout)?;
        if ENCODED.contains(&layout.name) {
            encode(&mut file, layout.name, &rows.values)?;
            file.metadata.insert("rows-sha256".into(), rows_digest.clone());
        }
        files.insert(format!("quant/{}.safetensors", layout.name), file.write()?);
    }
    let mut provenance = ggml::provenance();
    provenance.insert("seed".into(), SEED.to_string());
    Ok(Recording { provenance, inputs: vec![], files })
}

fn decode(layout: &Layout) -> Result<File> {
    let format = Type::named(layout.name)?;
    let inputs = blocks::all(layout, format.block_bytes, SEED);
    let values = format.decode(&inputs.bytes)?;
    let count = inputs.bytes.len() / format.block_bytes;
    let mut file = File { metadata: ggml::provenance(), ..File::default() };
    let decoder = format!("ggml_get_type_traits({})->to_float", format.name);
    file.metadata.insert("decoder".into(), decoder);
    file.metadata.insert("blocks-sha256".into(), sha256(&inputs.bytes));
    file.metadata.insert("groups".into(), serde_json::to_string(&inputs.groups)?);
    file.metadata.insert("seed".into(), SEED.to_string());
    if format.block_bytes == 2 {
        file.metadata.insert("every-code-sha256".into(), every_code(&format)?);
    }
    let blocks = Tensor::bytes(&[count, format.block_bytes], inputs.bytes);
    file.tensors.insert("blocks".into(), blocks);
    file.tensors.insert("values".into(), Tensor::floats(&[count, format.block_len], &values));
    Ok(file)
}

/// Digest of all 65,536 values of a 16-bit format in order of their code, little-endian f32, each
/// NaN as 0x7fc00000: hardware and software disagree about payloads, and nothing depends on them.
fn every_code(format: &Type) -> Result<String> {
    let codes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    let canonical = |value: f32| if value.is_nan() { 0x7fc0_0000 } else { value.to_bits() };
    let values = format.decode(&codes)?.into_iter();
    let bytes: Vec<u8> = values.flat_map(|value| canonical(value).to_le_bytes()).collect();
    Ok(sha256(&bytes))
}

fn encode(file: &mut File, name: &'static str, rows: &[f32]) -> Result<()> {
    let format = Type::named(name)?;
    let encoded = format.encode(rows)?;
    let encoder = format!("ggml_get_type_traits({name})->from_float_ref");
    file.metadata.insert("encoder".into(), encoder);
    let per_row = rows::WIDTH / format.block_len * format.block_bytes;
    let shape = [encoded.len() / per_row, per_row];
    file.tensors.insert("encoded".into(), Tensor::bytes(&shape, encoded));
    Ok(())
}
