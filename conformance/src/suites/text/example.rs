//! A small GGUF file that holds every kind of value and a few tensor types.

use engine::loader::gguf::{Array, Strings, Value, Writer};
use engine::quant;
use harness::Failure;
use std::path::Path;

pub(super) fn write(path: &Path) -> Result<(), Failure> {
    let mut writer = Writer::new();
    writer
        .set("general.architecture", "gpt-oss")
        .set("general.name", "an example, not a model")
        .set("gpt-oss.block_count", 2u32)
        .set("gpt-oss.rope.freq_base", 150000.0f32)
        .set("example.u64", u64::MAX)
        .set("example.i64", i64::MIN)
        .set("example.nan", f32::NAN)
        .set("example.f64", 0.1f64)
        .set("example.bool", true)
        .set("example.line-break", "one\ntwo\u{1b}[31m")
        .set("example.numbers", Value::Array(Array::I32((0..40).collect())))
        .set("example.none", Value::Array(Array::F32(Vec::new())))
        .set("example.tokens", Value::Array(Array::String(tokens())));
    for (name, format, shape) in [
        ("token_embd.weight", "F32", vec![64, 3]),
        ("blk.0.attn_norm.weight", "F32", vec![64]),
        ("blk.0.attn_q.weight", "Q8_0", vec![64, 2]),
        ("blk.0.ffn_gate_exps.weight", "MXFP4", vec![64, 2, 2]),
        ("blk.1.ffn_gate_exps.weight", "MXFP4", vec![64, 2, 2]),
        ("output.weight", "BF16", vec![64, 3]),
    ] {
        let format = quant::by_name(format).ok_or_else(|| format!("no format {format}"))?;
        let elements = shape.iter().product::<u64>() as usize;
        let bytes = elements / format.block_len * format.block_bytes;
        writer.tensor(name, format, &shape, vec![0; bytes]);
    }
    Ok(writer.write(path)?)
}

fn tokens() -> Strings {
    ["<s>", "hello", "Ġworld"].into_iter().collect()
}
