//! Writes the seeds of the corpus: small valid files that hold one of everything, so that the
//! fuzzer begins behind the magic. `cargo run --example seeds` after the writer changed.

use engine::error::Result;
use engine::loader::gguf::{Strings, Writer};
use engine::quant::FORMATS;
use std::path::Path;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (target, seeds) in [("gguf", gguf()?), ("safetensors", safetensors())] {
        let folder = corpus.join(target);
        std::fs::create_dir_all(&folder)?;
        for (name, bytes) in seeds {
            std::fs::write(folder.join(format!("seed-{name}")), bytes)?;
        }
    }
    Ok(())
}

type Seeds = Vec<(String, Vec<u8>)>;

fn gguf() -> Result<Seeds> {
    let mut seeds = Seeds::new();
    let mut add = |name: &str, writer: &Writer| -> Result<()> {
        seeds.push((name.into(), writer.to_bytes()?));
        Ok(())
    };
    add("nothing", &Writer::new())?;
    add("values", &values())?;
    let mut arrays = Writer::new();
    arrays.set("b", vec![true, false]).set("s", ["x", "", "yz"].iter().collect::<Strings>());
    arrays.set("u8", vec![1u8]).set("i16", vec![-1i16]).set("f32", vec![0.5f32, -0.0]);
    arrays.set("u64", vec![u64::MAX]).set("f64", Vec::<f64>::new());
    add("arrays", &arrays)?;
    for format in FORMATS {
        let row = format.block_len as u64;
        let mut writer = Writer::new();
        writer.tensor("t", format, &[row], vec![1; format.block_bytes]);
        add(&format!("format-{}", format.name.to_lowercase()), &writer)?;
    }
    for alignment in [1u32, 8, 64] {
        let mut writer = values();
        writer.version(2).set("general.alignment", alignment);
        writer.tensor("a", &FORMATS[0], &[3], vec![2; 12]);
        writer.tensor("b", &FORMATS[1], &[1, 2, 1, 2], vec![3; 8]);
        add(&format!("alignment-{alignment}"), &writer)?;
    }
    Ok(seeds)
}

fn values() -> Writer {
    let mut writer = Writer::new();
    writer.set("general.architecture", "llama").set("b", true);
    writer.set("u8", 1u8).set("i8", -1i8).set("u16", 2u16).set("i16", -2i16);
    writer.set("u32", 3u32).set("i32", -3i32).set("u64", 4u64).set("i64", -4i64);
    writer.set("f32", 0.5f32).set("f64", -0.5f64);
    writer
}

fn safetensors() -> Seeds {
    let file = |json: &str, data: usize| {
        let json = json.as_bytes();
        let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(json);
        bytes.resize(bytes.len() + data, 1);
        bytes
    };
    let tensor = |dtype: &str, shape: &str, from: usize, to: usize| {
        format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{from},{to}]}}"#)
    };
    let one = format!(r#"{{"x":{}}}"#, tensor("F32", "[2,3]", 0, 24));
    let two = format!(
        r#"{{"__metadata__":{{"format":"pt"}},"b":{},"a":{}}}"#,
        tensor("BF16", "[4]", 16, 24),
        tensor("U8", "[2,8]", 0, 16),
    );
    let odd = format!(
        r#"{{ "s\u00e9" : {}, "empty": {} }}"#,
        tensor("F16", "[]", 0, 2),
        tensor("I64", "[0,5]", 2, 2),
    );
    vec![
        ("nothing".into(), file("{}", 0)),
        ("one".into(), file(&one, 24)),
        ("two".into(), file(&two, 24)),
        ("odd".into(), file(&odd, 2)),
    ]
}
