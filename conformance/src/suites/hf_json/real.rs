//! Qwen2.5's own tokenizer.json beside llama.cpp's vocabulary of the same model, where both are at
//! hand: three codes, two files, one answer.

use super::open;
use engine::loader::gguf::Gguf;
use engine::tokenizer::{EncodeOptions, Options, Tokenizer};
use harness::{Case, Failure, Run, environment};

const JSON: &str = "qwen2.5-tokenizer.json";
const GGUF: &str = "ggml-vocab-qwen2.gguf";
const SEPARATOR: &str = "\n__ggml_vocab_test__\n";

fn judge(run: &mut Run) -> Result<(), Failure> {
    let folder = environment::path("ORCD_LLAMA_CPP_MODELS").unwrap_or_default();
    let path = folder.join(JSON);
    if !path.is_file() {
        run.deviation("no-qwen-json", "a llama.cpp checkout has no tokenizer.json to compare");
        return Ok(());
    }
    let json = std::fs::read(&path)?;
    let gguf = Gguf::open(&folder.join(GGUF))?;
    let from_gguf = Tokenizer::from_metadata(gguf.metadata(), &Options::default())?;
    let (own, foreign) = (open(&json, false)?, open(&json, true)?);
    if own.info().backend == foreign.info().backend {
        return Err("one code was asked twice".into());
    }
    let texts = std::fs::read_to_string(folder.join(format!("{GGUF}.inp")))?;
    let mut checked = 0;
    for text in texts.split(SEPARATOR).chain(["e\u{301} Ångström <|im_start|>user\nhi<|im_end|>"])
    {
        for options in [EncodeOptions::PLAIN, EncodeOptions::PROMPT] {
            let ids = own.encode(text, options)?;
            let others = [from_gguf.encode(text, options)?, foreign.encode(text, options)?];
            if let Some(other) = others.iter().find(|other| **other != ids) {
                return Err(format!("{text:?}: {ids:?}, another says {other:?}").into());
            }
            if own.decode_bytes(&ids, true)? != from_gguf.decode_bytes(&ids, true)? {
                return Err(format!("{text:?}: {ids:?} decode differently").into());
            }
            checked += 1;
        }
    }
    run.figure("texts", f64::from(checked), "");
    Ok(())
}

pub(super) fn cases() -> Vec<Case> {
    let name = "tokenizer::hf-json::real::qwen2-5";
    vec![Case::new(name, judge).needs("llama-cpp-models").requirements(["C13"])]
}
