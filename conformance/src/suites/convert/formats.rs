//! Which format each tensor gets, and how a folder's tensors may be cut into files.

use super::families::{gpt_oss, llama, qwen2};
use super::folder::Folder;
use engine::loader::Gguf;
use harness::{Case, Failure, Run};
use serde_json::json;
use std::fs;

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, body: fn(&mut Run) -> Result<(), Failure>| {
        Case::new(format!("convert::formats::{name}"), body)
    };
    vec![
        case("keep", keep),
        case("mxfp4", mxfp4),
        case("mxfp4-all", mxfp4_all),
        case("q4-k-m", q4_k_m),
        case("shards-equal-one-file", shards),
        case("threads-change-nothing", threads),
    ]
}

fn expect(file: &Gguf, wanted: &[(&str, &str)]) -> Result<(), Failure> {
    for (name, format) in wanted {
        let found = file.tensor(name).ok_or_else(|| format!("no {name}"))?.info.format.name;
        if found != *format {
            return Err(format!("{name} is {found}, wanted {format}").into());
        }
    }
    Ok(())
}

fn keep(_: &mut Run) -> Result<(), Failure> {
    let file = gpt_oss(true)?.write()?.converted(&[])?;
    let wanted = [
        ("blk.0.ffn_up_exps.weight", "MXFP4"),
        ("blk.0.ffn_up_exps.bias", "F32"),
        ("blk.0.attn_q.weight", "BF16"),
        ("blk.0.attn_norm.weight", "F32"),
        ("blk.0.ffn_gate_inp.weight", "F32"),
        ("output.weight", "BF16"),
    ];
    expect(&file, &wanted)
}

fn mxfp4(_: &mut Run) -> Result<(), Failure> {
    let file = gpt_oss(false)?.write()?.converted(&["--type", "mxfp4"])?;
    // Rows of 24 are no whole blocks: the way back from heads.
    let wanted = [
        ("blk.0.ffn_down_exps.weight", "MXFP4"),
        ("blk.0.attn_q.weight", "Q8_0"),
        ("blk.0.attn_output.weight", "F16"),
        ("token_embd.weight", "Q8_0"),
        ("output.weight", "Q8_0"),
    ];
    expect(&file, &wanted)
}

fn mxfp4_all(_: &mut Run) -> Result<(), Failure> {
    let file = llama()?.write()?.converted(&["--type", "MXFP4-all"])?;
    let wanted = [
        ("token_embd.weight", "MXFP4"),
        ("output.weight", "MXFP4"),
        ("blk.1.attn_v.weight", "MXFP4"),
        ("blk.1.ffn_down.weight", "MXFP4"),
        ("output_norm.weight", "F32"),
    ];
    expect(&file, &wanted)
}

/// Rows of 256 become K-blocks, rows of 32 what stands in for them; the last layer is one of those
/// that get more bits.
fn q4_k_m(_: &mut Run) -> Result<(), Failure> {
    let mut folder = qwen2()?;
    folder.config["intermediate_size"] = json!(256);
    for layer in 0..2 {
        for (part, shape) in [("gate", [256, 32]), ("up", [256, 32]), ("down", [32, 256])] {
            folder.random(&format!("model.layers.{layer}.mlp.{part}_proj.weight"), &shape);
        }
    }
    let bench = folder.write()?;
    let (code, told) = bench.run("out.gguf", &["--type", "Q4_K_M"])?;
    if code != 0 || !told.contains("rows of 32 are not blocks of 256 (Q6_K): Q8_0") {
        return Err(format!("exit code {code}: {told}").into());
    }
    let wanted = [
        ("token_embd.weight", "Q8_0"),
        ("blk.0.attn_q.weight", "Q5_0"),
        ("blk.0.attn_v.weight", "Q5_0"),
        ("blk.1.attn_v.weight", "Q8_0"),
        ("blk.0.ffn_down.weight", "Q4_K"),
        ("blk.1.ffn_down.weight", "Q6_K"),
    ];
    expect(&Gguf::open(&bench.path("out.gguf"))?, &wanted)
}

/// Writes the folder in two files; codes and scales of a pair stay together, as published.
fn sharded(folder: &Folder) -> Result<super::folder::Bench, Failure> {
    let bench = folder.bare()?;
    let first = |name: &str| name.contains("layers.0");
    let files = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    fs::write(bench.path("hf").join(files[0]), folder.safetensors(first)?)?;
    fs::write(bench.path("hf").join(files[1]), folder.safetensors(|name| !first(name))?)?;
    let place = |name: &String| (name.clone(), json!(files[usize::from(!first(name))]));
    let map: serde_json::Map<_, _> = folder.tensors.keys().map(place).collect();
    let index = serde_json::to_vec(&json!({"metadata": {}, "weight_map": map}))?;
    fs::write(bench.path("hf/model.safetensors.index.json"), index)?;
    Ok(bench)
}

fn shards(_: &mut Run) -> Result<(), Failure> {
    let folder = gpt_oss(true)?;
    let (one, two) = (folder.write()?, sharded(&folder)?);
    one.converted(&[])?;
    two.converted(&[])?;
    match fs::read(one.path("out.gguf"))? == fs::read(two.path("out.gguf"))? {
        true => Ok(()),
        false => Err("the same tensors in two files give another model".into()),
    }
}

fn threads(_: &mut Run) -> Result<(), Failure> {
    let bench = llama()?.write()?;
    for (to, count) in [("a.gguf", "1"), ("b.gguf", "3")] {
        let (code, told) = bench.run(to, &["--type", "Q8_0", "--threads", count])?;
        if code != 0 {
            return Err(told.into());
        }
    }
    match fs::read(bench.path("a.gguf"))? == fs::read(bench.path("b.gguf"))? {
        true => Ok(()),
        false => Err("three threads write another file than one".into()),
    }
}
