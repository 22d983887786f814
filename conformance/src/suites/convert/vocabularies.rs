//! Vocabularies: what `convert` makes of a tokenizer.json, against the GGUF vocabulary that the
//! same script trained and llama.cpp answered for.

use super::families::llama;
use super::folder::{Folder, rows_of};
use engine::loader::Gguf;
use engine::loader::gguf::{Metadata, Value};
use engine::tokenizer::{EncodeOptions, Options, Tokenizer};
use harness::{Case, Failure, Run, roots};
use serde_json::{Value as Json, json};
use std::fs;

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = ["gpt2", "qwen2", "harmony", "llama3"]
        .into_iter()
        .map(|name| Case::new(format!("convert::vocabulary::{name}"), move |_| bpe(name)))
        .collect();
    cases.extend([
        Case::new("convert::vocabulary::llama", |_: &mut Run| sentencepiece("llama", true)),
        Case::new("convert::vocabulary::llama-json-alone", |_: &mut Run| {
            sentencepiece("llama", false)
        }),
        Case::new("convert::vocabulary::phi3", |_: &mut Run| sentencepiece("phi3", false)),
        Case::new("convert::vocabulary::spm-alone", spm_alone),
        Case::new("convert::vocabulary::template", template),
    ]);
    cases
}

fn golden(name: &str) -> Result<Gguf, Failure> {
    Ok(Gguf::open(&roots::project().join(format!("golden/tokenizers/{name}.gguf")))?)
}

/// The text of a token with a job, as the golden vocabulary has it.
fn job(keys: &Metadata, job: &str) -> Option<Json> {
    let id = keys.opt_u32(&format!("tokenizer.ggml.{job}_token_id")).ok()??;
    let tokens = keys.strings("tokenizer.ggml.tokens").ok()?;
    Some(json!(String::from_utf8(tokens.get(id as usize)?.to_vec()).ok()?))
}

/// A llama model with another family's vocabulary: which family does not matter here.
fn folder(name: &'static str, keys: &Metadata) -> Result<Folder, Failure> {
    let mut folder = llama()?;
    folder.vocabulary = name;
    let rows = keys.strings("tokenizer.ggml.tokens")?.len().max(rows_of(name)?);
    folder.config["vocab_size"] = json!(rows);
    for tensor in ["model.embed_tokens.weight", "lm_head.weight"] {
        folder.random(tensor, &[rows, 32]);
    }
    folder.words = json!({"bos_token": job(keys, "bos"), "eos_token": job(keys, "eos")});
    Ok(folder)
}

fn equal(found: &Metadata, wanted: &Metadata, keys: &[&str]) -> Result<(), Failure> {
    for key in keys {
        let key = format!("tokenizer.ggml.{key}");
        let (found, wanted) = (found.get(&key), wanted.get(&key));
        if found != wanted {
            let text = |value: Option<&Value>| value.map_or("absent".into(), Value::text);
            return Err(format!("{key}: {}, wanted {}", text(found), text(wanted)).into());
        }
    }
    Ok(())
}

fn bpe(name: &'static str) -> Result<(), Failure> {
    let wanted = golden(name)?;
    let file = folder(name, wanted.metadata())?.write()?.converted(&[])?;
    let keys = ["model", "pre", "tokens", "token_type", "merges", "bos_token_id", "eos_token_id"];
    equal(file.metadata(), wanted.metadata(), &keys)?;
    equal(file.metadata(), wanted.metadata(), &["add_bos_token"])
}

/// With tokenizer.model the scores are SentencePiece's own; without it they are made of the merges,
/// and must give the same ids.
fn sentencepiece(name: &'static str, with_model: bool) -> Result<(), Failure> {
    let wanted = golden(name)?;
    let bench = folder(name, wanted.metadata())?.write()?;
    if with_model {
        let model = roots::project().join("golden/tokenizers/spm.model");
        fs::copy(model, bench.path("hf/tokenizer.model"))?;
    }
    let file = bench.converted(&[])?;
    let keys = ["model", "pre", "tokens", "token_type", "bos_token_id", "eos_token_id"];
    equal(file.metadata(), wanted.metadata(), &keys)?;
    if with_model {
        equal(file.metadata(), wanted.metadata(), &["scores"])?;
    }
    same_ids(&file, &wanted)
}

fn spm_alone(_: &mut Run) -> Result<(), Failure> {
    let wanted = golden("llama")?;
    let mut folder = folder("llama", wanted.metadata())?;
    folder.config["bos_token_id"] = json!(1);
    folder.config["eos_token_id"] = json!([2, 1]);
    let bench = folder.write()?;
    fs::remove_file(bench.path("hf/tokenizer.json"))?;
    let model = roots::project().join("golden/tokenizers/spm.model");
    fs::copy(model, bench.path("hf/tokenizer.model"))?;
    let file = bench.converted(&[])?;
    let keys = ["model", "tokens", "token_type", "scores", "bos_token_id", "eos_token_id"];
    equal(file.metadata(), wanted.metadata(), &keys)?;
    same_ids(&file, &wanted)
}

fn same_ids(found: &Gguf, wanted: &Gguf) -> Result<(), Failure> {
    let texts = [
        "Mara watches the harbour while the rain is quiet.",
        "  In 1987 the fog\n\nlasted 12 days (or 3.5)… \u{1f600} ÜBER\t$x",
        "def total_count(index: int) -> int:\n    return index + 4\n",
    ];
    let options = Options::default();
    let found = Tokenizer::from_metadata(found.metadata(), &options)?;
    let wanted = Tokenizer::from_metadata(wanted.metadata(), &options)?;
    for text in texts {
        let ids = found.encode(text, EncodeOptions::TEXT)?;
        let others = wanted.encode(text, EncodeOptions::TEXT)?;
        if ids != others {
            return Err(format!("{text:?}: {ids:?}, wanted {others:?}").into());
        }
    }
    Ok(())
}

/// A file of its own comes before tokenizer_config.json, and there "default" before others.
fn template(_: &mut Run) -> Result<(), Failure> {
    let mut folder = llama()?;
    let key = "tokenizer.chat_template";
    let named = json!([
        {"name": "tool_use", "template": "no"}, {"name": "default", "template": "{{ yes }}"},
    ]);
    for (words, file, wanted) in [
        (json!({}), None, None),
        (json!({"chat_template": "{{ plain }}"}), None, Some("{{ plain }}")),
        (json!({"chat_template": named}), None, Some("{{ yes }}")),
        (json!({"chat_template": "no"}), Some("{{ file }}\n"), Some("{{ file }}\n")),
    ] {
        folder.words = words;
        let bench = folder.write()?;
        if let Some(text) = file {
            fs::write(bench.path("hf/chat_template.jinja"), text)?;
        }
        let converted = bench.converted(&[])?;
        let found = converted.metadata().opt_str(key)?;
        if found != wanted {
            return Err(format!("{key} is {found:?}, wanted {wanted:?}").into());
        }
    }
    Ok(())
}
