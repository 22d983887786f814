//! `tokenizer::hf-json::` — a tokenizer.json gives the ids its maker's library gives, whichever
//! code encodes; a hostile one is refused. The wants were recorded from that library; where we
//! compare two codes of our own, neither is the other's judge alone.

mod golden;
mod malformed;
mod parts;
mod real;

use engine::tokenizer::{JsonFile, Options, Tokenizer};
use harness::{Case, Failure, roots};

/// The vocabularies under `golden/tokenizers` that have a tokenizer.json of a known family.
const VOCABULARIES: [&str; 6] = ["gpt2", "harmony", "llama", "llama3", "phi3", "qwen2"];

pub(super) fn cases() -> Vec<Case> {
    let areas = [golden::cases(), malformed::cases(), parts::cases(), real::cases()];
    areas.into_iter().flatten().collect()
}

fn json_of(vocabulary: &str) -> Result<Vec<u8>, Failure> {
    Ok(std::fs::read(roots::project().join(format!("golden/tokenizers/{vocabulary}.json")))?)
}

fn open(json: &[u8], foreign: bool) -> engine::error::Result<Tokenizer> {
    Tokenizer::from_json(JsonFile { json, config: None, foreign }, &Options::default())
}

/// A vocabulary with `<|endoftext|>`, encoded by the crate.
pub(super) fn gpt2_by_the_crate() -> Result<Tokenizer, Failure> {
    Ok(open(&json_of("gpt2")?, true)?)
}
