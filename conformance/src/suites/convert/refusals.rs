//! Folders that must be refused: the message names the thing, and no file is left behind.

use super::families::{gpt_oss, llama};
use super::folder::Folder;
use harness::{Case, Failure, Run};
use serde_json::json;
use std::fs;

/// What is wrong, how the folder gets there, what the message must say.
type Refusal = (&'static str, fn(&mut Folder), &'static [&'static str]);

const REFUSALS: [Refusal; 10] = [
    (
        "missing-config-key",
        |folder| drop(folder.config.as_object_mut().and_then(|all| all.remove("rms_norm_eps"))),
        &["MissingKey", "\"rms_norm_eps\" in config.json"],
    ),
    (
        "wrong-config-type",
        |folder| folder.config["num_attention_heads"] = json!("four"),
        &["WrongType", "\"num_attention_heads\" in config.json", "four"],
    ),
    (
        "unknown-architecture",
        |folder| folder.config["model_type"] = json!("mamba"),
        &["UnknownArch", "\"mamba\"", "gpt_oss, gpt2, llama, phi3, qwen2"],
    ),
    (
        "unknown-scaling",
        |folder| folder.config["rope_scaling"] = json!({"rope_type": "dynamic", "factor": 2.0}),
        &["BadHparam", "rope_scaling.rope_type", "\"dynamic\""],
    ),
    (
        "missing-tensor",
        |folder| drop(folder.tensors.remove("model.layers.1.mlp.up_proj.weight")),
        &["MissingTensor", "\"model.layers.1.mlp.up_proj.weight\"", "[64, 32]"],
    ),
    (
        "shape-mismatch",
        |folder| folder.random("model.layers.1.self_attn.k_proj.weight", &[12, 31]),
        &["ShapeMismatch", "\"model.layers.1.self_attn.k_proj.weight\"", "[12, 31]", "[12, 32]"],
    ),
    (
        "surplus-tensor",
        |folder| folder.random("model.layers.1.self_attn.q_norm.weight", &[6]),
        &["ExtraTensor", "\"model.layers.1.self_attn.q_norm.weight\""],
    ),
    (
        "integer-weights",
        |folder| {
            if let Some(stored) = folder.tensors.get_mut("model.norm.weight") {
                stored.dtype = "I16";
            }
        },
        &["BadTensorType", "\"model.norm.weight\"", "I16"],
    ),
    (
        "other-vocabulary-size",
        |folder| folder.config["vocab_size"] = json!(1400),
        &["ShapeMismatch", "tokenizer.json", "1400"],
    ),
    (
        "odd-heads",
        |folder| folder.config["head_dim"] = json!(5),
        &["BadHparam", "\"head_dim\" in config.json", "5"],
    ),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = REFUSALS
        .into_iter()
        .map(|(name, change, parts)| {
            Case::new(format!("convert::refuses::{name}"), move |_: &mut Run| {
                let mut folder = llama()?;
                change(&mut folder);
                folder.write()?.refused(&[], parts)
            })
        })
        .collect();
    cases.extend([
        Case::new("convert::refuses::half-a-pair", half_a_pair),
        Case::new("convert::refuses::no-tokenizer", no_tokenizer),
        Case::new("convert::refuses::shard-outside", shard_outside),
        Case::new("convert::refuses::broken-spm", broken_spm),
        Case::new("convert::refuses::unknown-type", unknown_type),
    ]);
    cases
}

fn half_a_pair(_: &mut Run) -> Result<(), Failure> {
    let mut folder = gpt_oss(true)?;
    folder.tensors.remove("model.layers.0.mlp.experts.down_proj_scales");
    folder.write()?.refused(&[], &["MissingTensor", "down_proj_blocks", "codes without scales"])
}

fn no_tokenizer(_: &mut Run) -> Result<(), Failure> {
    let mut folder = llama()?;
    folder.vocabulary = "";
    folder.write()?.refused(&[], &["tokenizer.json"])
}

/// An index must not lead out of its folder.
fn shard_outside(_: &mut Run) -> Result<(), Failure> {
    let bench = llama()?.write()?;
    for name in ["../model.safetensors", "/etc/passwd", "", "a/b.safetensors"] {
        let index = serde_json::to_vec(&json!({"weight_map": {"x": name}}))?;
        fs::write(bench.path("hf/model.safetensors.index.json"), index)?;
        bench.refused(&[], &["BadSplit", "no file of this folder"])?;
    }
    Ok(())
}

/// A SentencePiece file cut at any byte is refused or lacks pieces; none ends the process.
fn broken_spm(_: &mut Run) -> Result<(), Failure> {
    let whole = fs::read(harness::roots::project().join("golden/tokenizers/spm.model"))?;
    for length in (0..whole.len() - 100).step_by(97) {
        // Settings come last: without them it is not known to be byte pair encoding.
        if engine::tokenizer::SpmFile::read(&whole[..length]).is_ok() {
            return Err(format!("the first {length} bytes were read as a whole").into());
        }
    }
    let bench = llama()?.write()?;
    fs::write(bench.path("hf/tokenizer.model"), &whole[..5000])?;
    bench.refused(&[], &["tokenizer.model"])
}

fn unknown_type(_: &mut Run) -> Result<(), Failure> {
    llama()?.write()?.refused(&["--type", "Q3_K"], &["Q4_K_M, MXFP4, MXFP4-all", "Q8_0"])
}
