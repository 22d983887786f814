//! A tokenizer.json as the keys with which a GGUF file holds a vocabulary. Only what our own
//! encoders do exactly can be said there: anything else is refused with the reason. Knows both
//! spellings; builds no tokeniser.

use super::file::File;
use super::known::{self, Plan};
use super::{JsonFile, Table, around, bad_vocab, jobs, read_config};
use crate::error::Result;
use crate::loader::gguf::{Strings, Value};
use crate::tokenizer::open::Options;
use crate::tokenizer::pieces::TokenType;
use crate::tokenizer::spm_file::SpmFile;
use crate::tokenizer::vocab::{KEY_PREFIX, SPECIAL_KEYS};
use std::collections::HashMap;

/// The keys of a vocabulary, in the order in which files have them. `options.model` says how many
/// rows the embedding has and what the model itself calls BOS and EOS. `spm` is the SentencePiece
/// file from which the JSON was made, if it is there: only it has scores.
pub fn vocabulary_keys(
    json: JsonFile,
    spm: Option<&SpmFile>,
    options: &Options,
) -> Result<Vec<(String, Value)>> {
    let file = File::read(json.json)?;
    let config = read_config(json.config)?;
    let table = Table::new(&file, options.model.rows)?;
    let (before, after) = around(&file.post_processor)?;
    let special = jobs(&table, &config, [before, after], &options.model.special)?;
    let mut keys: Vec<(String, Value)> = Vec::new();
    let mut set = |key: &str, value: Value| keys.push((format!("{KEY_PREFIX}{key}"), value));
    let types: Vec<i32> = table.types.iter().map(|kind| *kind as i32).collect();
    match known::plan(&file) {
        Plan::Bpe(pre) => {
            set("model", "gpt2".into());
            set("pre", pre.into());
            set("tokens", table.tokens.clone().into());
            set("token_type", types.into());
            set("merges", table.merge_lines(&file)?.into());
        }
        Plan::Fallback => {
            let scores = match spm {
                Some(spm) => spm_scores(&table, spm)?,
                None => merge_scores(&table, &file),
            };
            set("model", "llama".into());
            set("pre", "default".into());
            set("tokens", table.tokens.clone().into());
            set("scores", scores.into());
            set("token_type", types.into());
            set("add_space_prefix", true.into());
        }
        Plan::Foreign(reason) => {
            let detail = format!("no GGUF file can say this: {reason}");
            return Err(bad_vocab("model", detail));
        }
    }
    for (job, id) in &special {
        if let Some((_, key)) = SPECIAL_KEYS.iter().find(|(name, _)| name == job) {
            keys.push(((*key).to_owned(), (*id).into()));
        }
    }
    let adds = |key: &str, found: bool| config[key].as_bool().unwrap_or(found);
    let mut flag = |key: &str, yes: bool| keys.push((format!("{KEY_PREFIX}{key}"), yes.into()));
    flag("add_bos_token", adds("add_bos_token", before.is_some()));
    flag("add_eos_token", adds("add_eos_token", after.is_some()));
    Ok(keys)
}

/// SentencePiece joins the pair whose whole scores best, a tokenizer.json the pair that it lists
/// first: so a token scores by the first merge that makes it. What no merge makes is never asked.
fn merge_scores(table: &Table, file: &File) -> Vec<f32> {
    let mut ranks: HashMap<u32, usize> = HashMap::new();
    for merge in &file.model.merges {
        if let Some(id) = table.ids.get(format!("{}{}", merge.0, merge.1).as_str()) {
            let next = ranks.len();
            ranks.entry(*id).or_insert(next);
        }
    }
    let score = |(id, kind): (usize, &TokenType)| match kind {
        TokenType::Normal => -(*ranks.get(&(id as u32)).unwrap_or(&ranks.len()) as f32),
        _ => 0.0,
    };
    table.types.iter().enumerate().map(score).collect()
}

/// Scores by id; the two files must agree on the pieces.
fn spm_scores(table: &Table, spm: &SpmFile) -> Result<Vec<f32>> {
    let mut scores = vec![0.0; table.tokens.len()];
    for (id, piece) in spm.pieces.iter().enumerate() {
        let Some(token) = table.tokens.get(id) else {
            let detail = format!("tokenizer.model has {} pieces", spm.pieces.len());
            return Err(bad_vocab("model.vocab", detail));
        };
        if token != piece.text {
            let detail = format!(
                "token {id} is {}, in tokenizer.model {}",
                crate::error::shown(token),
                crate::error::shown(&piece.text)
            );
            return Err(bad_vocab("model.vocab", detail));
        }
        scores[id] = piece.score;
    }
    Ok(scores)
}

/// The keys of a SentencePiece file alone.
pub fn spm_keys(spm: &SpmFile, options: &Options) -> Result<Vec<(String, Value)>> {
    let rows = options.model.rows.unwrap_or(spm.pieces.len()).max(spm.pieces.len());
    let (mut tokens, mut scores, mut types) = (Strings::default(), Vec::new(), Vec::new());
    for piece in &spm.pieces {
        tokens.push(&piece.text);
        scores.push(piece.score);
        types.push(piece.kind as i32);
    }
    for id in spm.pieces.len()..rows {
        tokens.push(format!("[PAD{id}]"));
        scores.push(0.0);
        types.push(TokenType::Unused as i32);
    }
    let mut keys: Vec<(String, Value)> = Vec::new();
    let mut set = |key: &str, value: Value| keys.push((format!("{KEY_PREFIX}{key}"), value));
    set("model", "llama".into());
    set("pre", "default".into());
    set("tokens", tokens.into());
    set("scores", scores.into());
    set("token_type", types.into());
    set("add_space_prefix", spm.add_dummy_prefix.into());
    for (job, id) in &options.model.special {
        if let Some((_, key)) = SPECIAL_KEYS.iter().find(|(name, _)| name == job) {
            keys.push(((*key).to_owned(), (*id).into()));
        }
    }
    // What SentencePiece models are trained with (Llama 2).
    keys.push((format!("{KEY_PREFIX}add_bos_token"), true.into()));
    Ok(keys)
}
