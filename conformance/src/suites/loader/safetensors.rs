//! safetensors with the same discipline, and Hugging Face's MXFP4 in two tensors.

use super::{Scratch, equal, refused, says};
use crate::suites::vectors::Vector;
use engine::error::Class::*;
use engine::loader::safetensors::Layout;
use engine::loader::{SafeTensors, check};
use harness::vector::{CaseHead, Head};
use harness::{Case, Failure, Run};
use schemars::JsonSchema;
use serde::Deserialize;

/// Suite `safetensors-file`: a header, so many bytes of data, and the answer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::suites) struct FileVector {
    /// The JSON, byte for byte; its length is put before it.
    header: String,
    /// How many bytes of data follow, all zero.
    data: usize,
    /// `Ok`, or the error class.
    want: String,
    /// What the error must say: the thing, the place, the numbers. Required with a class.
    #[serde(default)]
    message: Vec<String>,
}

impl Vector for FileVector {
    const SUITE: &'static str = "safetensors-file";

    fn judge(&self, _: &Head, _: &CaseHead, _: &mut Run) -> Result<(), Failure> {
        let words: Vec<&str> = self.message.iter().map(String::as_str).collect();
        if (self.want == "Ok") != words.is_empty() {
            return Err("a refusal needs `message`, an acceptance has none".into());
        }
        match Layout::parse(&file(&self.header, &vec![0; self.data])) {
            Ok(_) if self.want == "Ok" => Ok(()),
            Err(e) if e.class().is_some_and(|class| class.to_string() == self.want) => {
                says(&e.to_string(), &words)
            }
            other => Err(format!("wanted {}, got {other:?}", self.want).into()),
        }
    }
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("loader::safetensors::reads", reads),
        Case::new("loader::safetensors::every-truncation", every_truncation),
        Case::new("loader::safetensors::header-length", header_length),
        Case::new("loader::safetensors::deep-json-is-flat-work", deep_json),
        Case::new("loader::safetensors::every-header-bit", every_header_bit),
        Case::new("loader::safetensors::mxfp4-pairs", mxfp4_pairs),
        Case::new("loader::safetensors::mxfp4-broken-pairs", mxfp4_broken_pairs),
        Case::new("loader::safetensors::scan", scan),
    ]
}

fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

/// Out of order on purpose; padded with spaces as the reference writer does.
const GOOD: &str = concat!(
    r#"{"__metadata__":{"format":"pt"},"#,
    r#""b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]},"#,
    r#""a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}   "#
);

fn reads(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let data: Vec<u8> = (0..11).collect();
    let open = SafeTensors::open(&scratch.file("m.safetensors", &file(GOOD, &data))?)?;
    equal("metadata", &open.layout().metadata, &vec![("format".into(), "pt".into())])?;
    let names: Vec<&str> = open.tensors().iter().map(|tensor| &*tensor.name).collect();
    equal("order", names, vec!["a", "b"])?;
    let a = open.tensor("a").ok_or("no tensor a")?;
    equal("shape", &a.info.shape, &vec![1, 2])?;
    equal("dtype", a.info.dtype.name, "F32")?;
    equal("data of a", a.data, &data[..8])?;
    equal("data of b", open.tensor("b").ok_or("no tensor b")?.data, &data[8..])?;
    equal("no such tensor", open.tensor("c").is_none(), true)?;
    Ok(open.verify_unchanged()?)
}

fn every_truncation(run: &mut Run) -> Result<(), Failure> {
    let whole = file(GOOD, &[0; 11]);
    Layout::parse(&whole)?;
    for length in 0..whole.len() {
        refused(Layout::parse(&whole[..length]), Truncated, &[])
            .map_err(|failure| format!("at {length}: {}", failure.text()))?;
    }
    run.figure("lengths", whole.len() as f64, "");
    Ok(())
}

fn header_length(_: &mut Run) -> Result<(), Failure> {
    for length in [100_000_001u64, 1 << 32, 1 << 63, u64::MAX] {
        let bytes = [&length.to_le_bytes()[..], b"{}"].concat();
        refused(Layout::parse(&bytes), StringTooLong, &[&length.to_string(), "100000000"])?;
    }
    let bytes = [&3u64.to_le_bytes()[..], b"{}"].concat();
    refused(Layout::parse(&bytes), Truncated, &["3", "2"])?;
    refused(Layout::parse(&file("[]", &[])), BadMagic, &["byte 8"])?;
    refused(Layout::parse(&file("", b"{")), BadJson, &["EOF"])
}

fn deep_json(_: &mut Run) -> Result<(), Failure> {
    for nest in ["{\"a\":", "{\"__metadata__\":"] {
        let deep = format!("{nest}{}", "[".repeat(1 << 20));
        refused(Layout::parse(&file(&deep, &[])), BadJson, &[])?;
    }
    let deep = "{\"a\":".repeat(1 << 18);
    refused(Layout::parse(&file(&deep, &[])), BadJson, &[])
}

/// Typed errors or a sound layout, nothing else; a panic would end the case.
fn every_header_bit(run: &mut Run) -> Result<(), Failure> {
    let whole = file(GOOD, &[0; 11]);
    let (mut refusals, mut accepted) = (0, 0);
    for bit in 0..(whole.len() - 11) * 8 {
        let mut mutant = whole.clone();
        mutant[bit / 8] ^= 1 << (bit % 8);
        match Layout::parse(&mutant) {
            Ok(layout) => {
                accepted += 1;
                let end = layout.tensors.iter().map(|t| t.offset + t.bytes).max().unwrap_or(0);
                equal("end of data", layout.data_start + end, mutant.len() as u64)?;
            }
            Err(e) if e.class().is_some() => refusals += 1,
            Err(e) => return Err(format!("bit {bit}: {e}").into()),
        }
    }
    run.figure("refused", f64::from(refusals), "");
    run.figure("accepted", f64::from(accepted), "");
    Ok(())
}

/// Two experts of two rows of 64 elements: two blocks a row.
fn pair(blocks: &str, scales: &str) -> String {
    let tensor = |name: &str, shape: &str, range: &str| {
        format!(r#""{name}":{{"dtype":"U8","shape":{shape},"data_offsets":{range}}}"#)
    };
    let blocks = tensor("w_blocks", blocks, "[0,128]");
    format!("{{{blocks},{}}}", tensor("w_scales", scales, "[128,136]"))
}

fn mxfp4_pairs(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let data: Vec<u8> = (0..136).collect();
    let good = pair("[2,2,2,16]", "[2,2,2]");
    for (blocks, scales) in [("_blocks", "_scales"), (".blocks", ".scales")] {
        let header = good.replace("_blocks", blocks).replace("_scales", scales);
        let open = SafeTensors::open(&scratch.file("m.safetensors", &file(&header, &data))?)?;
        let pairs = open.mxfp4()?;
        equal("pairs", pairs.len(), 1)?;
        equal("name", pairs[0].name, "w")?;
        equal("shape", &pairs[0].shape, &vec![2, 2, 64])?;
        equal("blocks", pairs[0].blocks, &data[..128])?;
        equal("scales", pairs[0].scales, &data[128..])?;
        // The two halves are what the repacking takes.
        let packed = engine::quant::mxfp4::repack_hf(pairs[0].blocks, pairs[0].scales)?;
        equal("bytes of GGUF blocks", packed.len(), 8 * 17)?;
    }
    Ok(())
}

fn mxfp4_broken_pairs(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let good = pair("[2,2,2,16]", "[2,2,2]");
    let (head, tail) = good.rsplit_once("U8").ok_or("no U8")?;
    let scales_of_i8 = format!("{head}I8{tail}");
    let broken = [
        (pair("[2,2,2,16]", "[2,4]"), ShapeMismatch, "[2, 4, 16]"),
        (pair("[8,16]", "[2,2,2]"), ShapeMismatch, "[8, 16]"),
        (pair("[2,2,4,8]", "[2,2,2]"), ShapeMismatch, "[2, 2, 4, 8]"),
        (good.replace("w_scales", "v_scales"), MissingTensor, "w_scales"),
        (good.replace("w_blocks", "v_block"), MissingTensor, "scales without codes"),
        (good.replacen("U8", "I8", 1), BadTensorType, "I8"),
        (scales_of_i8, BadTensorType, "I8"),
    ];
    for (header, class, word) in broken {
        let open = SafeTensors::open(&scratch.file("m.safetensors", &file(&header, &[0; 136]))?)?;
        refused(open.mxfp4().map(|pairs| pairs.len()), class, &[word])?;
    }
    // A name alone makes no pair.
    let header = r#"{"text_blocks":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let open = SafeTensors::open(&scratch.file("m.safetensors", &file(header, &[0; 8]))?)?;
    equal("pairs", open.mxfp4()?.len(), 0)
}

fn scan(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let open = |data: &[u8]| -> Result<SafeTensors, Failure> {
        let header = pair("[2,2,2,16]", "[2,2,2]");
        Ok(SafeTensors::open(&scratch.file("m.safetensors", &file(&header, data))?)?)
    };
    let mut data = vec![0xffu8; 128];
    data.extend([0xfe; 8]);
    equal("bytes", check::safetensors(&open(&data)?, None)?.bytes, 8)?;
    data[133] = 0xff;
    let found = check::safetensors(&open(&data)?, None);
    refused(found, NonFinite, &["tensor \"w\"", "scale 5", "0xff"])?;
    let header = r#"{"n":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}"#;
    let path = scratch.file("n.safetensors", &file(header, &[0, 0, 0xc0, 0x7f]))?;
    let found = check::safetensors(&SafeTensors::open(&path)?, None);
    refused(found, NonFinite, &["tensor \"n\"", "block 1", "0x7fc0"])
}
