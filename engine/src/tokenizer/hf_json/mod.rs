//! `hf-json`: a tokenizer.json. Our own encoders do what the file describes wherever they do
//! exactly that; else the `tokenizers` crate does, within limits; which one is in
//! [`Info`](super::Info). Knows the file's parts; merges nothing itself.
//!
//! Normalisers are applied as the file declares them. llama.cpp applies none (its GGUF files cannot
//! name one), and in its profile neither do we.

mod export;
mod fallback;
mod file;
mod foreign;
mod known;

pub use export::{spm_keys, vocabulary_keys};
pub(crate) use fallback::Fallback;
pub(crate) use file::check_size;
pub(crate) use foreign::Foreign;

use super::backend::Backend;
use super::hash::Merge;
use super::open::{self, Built, Options};
use super::pieces::TokenType;
use super::special::{Added, Strip};
use super::vocab::{Model, Vocab};
use super::{Tokenizer, bpe, spm};
use crate::error::{Class, Error, Result};
use crate::loader::gguf::Strings;
use file::File;
use known::Plan;
use serde_json::Value as Json;
use std::collections::HashMap;

/// A tokenizer.json and what lies beside it.
#[derive(Debug, Clone, Copy)]
pub struct JsonFile<'a> {
    /// tokenizer.json.
    pub json: &'a [u8],
    /// tokenizer_config.json, which names BOS, EOS and their like.
    pub config: Option<&'a [u8]>,
    /// Let the crate encode even what we know: to compare the two.
    pub foreign: bool,
}

/// Keys of tokenizer_config.json and the job each one gives.
const JOBS: [(&str, &str); 4] = [
    ("bos_token", "bos"),
    ("eos_token", "eos"),
    ("unk_token", "unknown"),
    ("pad_token", "padding"),
];

fn bad_json(part: &str, detail: String) -> Error {
    Error::refused(Class::BadJson, format!("tokenizer.json: {part}"), detail)
}

fn bad_vocab(part: &str, detail: String) -> Error {
    Error::refused(Class::BadVocab, format!("tokenizer.json: {part}"), detail)
}

/// Names the part of the file instead of the GGUF key.
fn in_our_terms(error: Error) -> Error {
    match error {
        Error::Refused { class, place, detail } if place.contains("tokenizer.ggml") => {
            let part = if place.contains("merges") { "model.merges" } else { "model.vocab" };
            Error::refused(class, format!("tokenizer.json: {part}"), detail)
        }
        other => other,
    }
}

impl Tokenizer {
    /// From a tokenizer.json.
    pub fn from_json(file: JsonFile, options: &Options) -> Result<Self> {
        let parsed = File::read(file.json)?;
        let config = read_config(file.config)?;
        let plan = match known::plan(&parsed) {
            _ if file.foreign => Plan::Foreign("it was asked for"),
            plan => plan,
        };
        build(&parsed, &config, plan, file.json, options).map_err(in_our_terms)
    }
}

fn read_config(config: Option<&[u8]>) -> Result<Json> {
    let Some(config) = config else { return Ok(Json::Null) };
    match serde_json::from_slice(config) {
        Ok(config) => Ok(config),
        Err(error) => {
            Err(Error::refused(Class::BadJson, "tokenizer_config.json", error.to_string()))
        }
    }
}

fn build(
    file: &File,
    config: &Json,
    plan: Plan,
    json: &[u8],
    options: &Options,
) -> Result<Tokenizer> {
    let table = Table::new(file, options.model.rows)?;
    let plan = match plan {
        Plan::Fallback if table.bytes().is_none() => Plan::Foreign("a byte has no token"),
        plan => plan,
    };
    let merges = table.merge_lines(file)?;
    let (before, after) = around(&file.post_processor)?;
    let vocab = Vocab {
        model: if spelled_like_sentencepiece(file) { Model::Spm } else { Model::Bpe },
        tokens: &table.tokens,
        types: table.types.clone(),
        scores: Vec::new(),
        merges: Some(&merges),
        pre: None,
        special: jobs(&table, config, [before, after], &options.model.special)?,
        add_bos: Some(before.is_some()),
        add_eos: Some(after.is_some()),
        add_space_prefix: Some(plan == Plan::Fallback || strips_prefix(&file.decoder)),
        name: String::new(),
        architecture: "",
    };
    vocab.check()?;
    let pieces = match vocab.model {
        Model::Bpe => bpe::pieces(&vocab)?,
        Model::Spm => spm::pieces(&vocab)?,
    };
    let mut added = table.added(file);
    let backend = match plan {
        Plan::Bpe(name) => {
            let pre = open::choose_pre(Some(name), &pieces)?;
            let bpe = bpe::Bpe::new(&vocab, &pieces, pre, options.profile)?;
            Backend::HfBpe(Box::new(bpe))
        }
        Plan::Fallback => Backend::HfFallback(Box::new(table.fallback(file)?)),
        Plan::Foreign(_) => {
            decodes_piecewise(&file.decoder)?;
            // The crate cuts them out itself, with rules that only it knows.
            added.clear();
            Backend::HfForeign(Box::new(Foreign::new(json)?))
        }
    };
    let pre = match plan {
        Plan::Bpe(name) => Some(name.to_owned()),
        Plan::Fallback => None,
        Plan::Foreign(reason) => Some(format!("tokenizers crate: {reason}")),
    };
    Tokenizer::assemble(
        Built { vocab, pieces, backend, pre, add_bos: false, added },
        options.profile,
    )
}

/// The tokens by id, gaps filled.
struct Table<'f> {
    tokens: Strings,
    types: Vec<TokenType>,
    texts: Vec<Option<&'f str>>,
    ids: HashMap<&'f str, u32>,
}

impl<'f> Table<'f> {
    fn new(file: &'f File, rows: Option<usize>) -> Result<Self> {
        let learned = file.model.vocab.0.iter().map(|(token, id)| (token.as_str(), *id));
        let added = file.added_tokens.iter().map(|added| (added.content.as_str(), added.id));
        let most = learned.clone().chain(added.clone()).map(|(_, id)| id).max().unwrap_or(0);
        let count = file.model.vocab.0.len() + file.added_tokens.len();
        // A few fillers are usual, a table of nothing but fillers is an attack.
        if most as usize >= 2 * count + 4096 {
            let detail = format!("id {most}, but there are {count} tokens");
            return Err(bad_vocab("model.vocab", detail));
        }
        let mut texts: Vec<Option<&str>> = vec![None; length(most as usize + 1, rows)?];
        let mut ids = HashMap::with_capacity(count);
        for (part, (token, id)) in learned
            .map(|entry| ("model.vocab", entry))
            .chain(added.map(|entry| ("added_tokens", entry)))
        {
            let held = &mut texts[id as usize];
            if held.is_some_and(|other| other != token) {
                let detail =
                    format!("id {id} is both {:?} and {token:?}", held.unwrap_or_default());
                return Err(bad_vocab(part, detail));
            }
            if ids.insert(token, id).is_some_and(|other| other != id) {
                return Err(bad_vocab(part, format!("token {token:?} has two ids, one is {id}")));
            }
            *held = Some(token);
        }
        let mut tokens = Strings::default();
        for (id, text) in texts.iter().enumerate() {
            match text {
                Some(text) => tokens.push(text),
                None => tokens.push(format!("[PAD{id}]")),
            }
        }
        let types = types(file, &texts);
        Ok(Table { tokens, types, texts, ids })
    }

    fn text(&self, id: u32) -> &'f str {
        self.texts.get(id as usize).copied().flatten().unwrap_or_default()
    }

    /// The token of each byte, if all have one.
    fn bytes(&self) -> Option<Vec<u32>> {
        (0..=255_u8).map(|byte| self.ids.get(format!("<0x{byte:02X}>").as_str()).copied()).collect()
    }

    fn merge_lines(&self, file: &File) -> Result<Strings> {
        let mut lines = Strings::default();
        for merge in &file.model.merges {
            lines.push(format!("{} {}", merge.0, merge.1));
        }
        Ok(lines)
    }

    fn fallback(&self, file: &'f File) -> Result<Fallback> {
        let id = |text: &str, rank: usize| {
            let missing = || format!("merge {rank}: {text:?} is no token");
            self.ids.get(text).copied().ok_or_else(|| bad_vocab("model.merges", missing()))
        };
        let mut merges = Vec::with_capacity(file.model.merges.len());
        for (rank, merge) in file.model.merges.iter().enumerate() {
            let whole = format!("{}{}", merge.0, merge.1);
            let merged = Merge { rank: rank as u32, id: id(&whole, rank)? };
            merges.push((id(&merge.0, rank)?, id(&merge.1, rank)?, merged));
        }
        let learned = file.model.vocab.0.iter().map(|(token, id)| (token.as_str(), *id));
        Fallback::new(learned, &merges, self.bytes().unwrap_or_default(), |id| self.text(id))
    }

    fn added(&self, file: &File) -> Vec<Added> {
        let added = file.added_tokens.iter().map(|added| Added {
            id: added.id,
            text: added.content.as_bytes().to_vec(),
            kind: self.types[added.id as usize],
            strip: Strip { left: added.lstrip, right: added.rstrip },
        });
        added.collect()
    }
}

/// Models have a few more rows than tokens, to make a round number: phi-2 has the most that we know
/// of, 905 of 51,200. More than a sixteenth is another model's tokenizer.
const FILLERS_SHARE: usize = 16;

/// How many ids there are: one a row of the model's embedding, where that is known.
fn length(ids: usize, rows: Option<usize>) -> Result<usize> {
    let Some(rows) = rows else { return Ok(ids) };
    if ids > rows || rows - ids > rows / FILLERS_SHARE {
        let detail = format!("ids up to {}, but the model's embedding has {rows} rows", ids - 1);
        return Err(Error::refused(Class::ShapeMismatch, "tokenizer.json", detail));
    }
    Ok(rows)
}

fn types(file: &File, texts: &[Option<&str>]) -> Vec<TokenType> {
    let byte = |text: &str| file.model.byte_fallback && spm::byte_of(text.as_bytes()).is_some();
    let of = |text: &Option<&str>| match text {
        None => TokenType::Unused,
        Some(text) if byte(text) => TokenType::Byte,
        Some(_) => TokenType::Normal,
    };
    let mut types: Vec<TokenType> = texts.iter().map(of).collect();
    for added in &file.added_tokens {
        let unknown = file.model.unk_token.as_deref() == Some(&added.content);
        types[added.id as usize] = match (unknown, added.special) {
            (true, _) => TokenType::Unknown,
            (false, true) => TokenType::Control,
            (false, false) => TokenType::UserDefined,
        };
    }
    types
}

/// What the file adds before and after a text: one token each, or nothing.
fn around(post_processor: &Json) -> Result<(Option<u32>, Option<u32>)> {
    let bad = |detail: &str| bad_vocab("post_processor", detail.to_owned());
    let number = |id: &Json| id.as_u64().and_then(|id| u32::try_from(id).ok());
    match post_processor["type"].as_str() {
        None | Some("ByteLevel") => Ok((None, None)),
        Some("Sequence") => {
            let mut found = (None, None);
            for step in post_processor["processors"].as_array().ok_or_else(|| bad("no steps"))? {
                let (before, after) = around(step)?;
                found = (found.0.or(before), found.1.or(after));
            }
            Ok(found)
        }
        Some("BertProcessing" | "RobertaProcessing") => {
            let id = |key: &str| number(&post_processor[key][1]).ok_or_else(|| bad("no ids"));
            Ok((Some(id("cls")?), Some(id("sep")?)))
        }
        Some("TemplateProcessing") => {
            let template = post_processor["single"].as_array().ok_or_else(|| bad("no single"))?;
            let is_text = |step: &Json| step.get("Sequence").is_some();
            let place = template.iter().position(is_text).ok_or_else(|| bad("no sequence"))?;
            let (before, after) = (&template[..place], &template[place + 1..]);
            let token = |steps: &[Json]| match steps {
                [] => Ok(None),
                [step] => {
                    let name = step["SpecialToken"]["id"].as_str().unwrap_or_default();
                    let ids = &post_processor["special_tokens"][name]["ids"];
                    match ids.as_array().map(Vec::as_slice) {
                        Some([id]) => Ok(Some(number(id).ok_or_else(|| bad("an id is none"))?)),
                        _ => Err(bad("a special token is not one id")),
                    }
                }
                _ => Err(bad("more than one token on one side of a text")),
            };
            Ok((token(before)?, token(after)?))
        }
        Some(other) => Err(bad_vocab("post_processor", format!("type {other:?} is not known"))),
    }
}

fn jobs(
    table: &Table,
    config: &Json,
    [before, after]: [Option<u32>; 2],
    model: &[(&'static str, u32)],
) -> Result<Vec<(&'static str, u32)>> {
    let mut jobs: Vec<(&'static str, u32)> = Vec::new();
    for (job, id) in [("bos", before), ("eos", after)] {
        jobs.extend(id.map(|id| (job, id)));
    }
    for (key, job) in JOBS {
        let text = config[key].as_str().or(config[key]["content"].as_str());
        let Some(text) = text else { continue };
        let Some(id) = table.ids.get(text) else {
            let detail = format!("{key} {text:?} is no token of tokenizer.json");
            return Err(Error::refused(Class::BadVocab, "tokenizer_config.json", detail));
        };
        if !jobs.iter().any(|(other, _)| *other == job) {
            jobs.push((job, *id));
        }
    }
    for (job, id) in model {
        if !jobs.iter().any(|(other, _)| other == job) {
            jobs.push((job, *id));
        }
    }
    Ok(jobs)
}

/// Whether tokens hold characters with `▁` for a space, and not bytes in GPT-2's writing.
fn spelled_like_sentencepiece(file: &File) -> bool {
    let is_byte_level = |step: &Json| step["type"] == "ByteLevel";
    let steps = file.decoder["decoders"].as_array().map_or(&[][..], Vec::as_slice);
    !is_byte_level(&file.decoder) && !steps.iter().any(is_byte_level)
}

fn strips_prefix(decoder: &Json) -> bool {
    let strips = |step: &Json| {
        let strip = step["type"] == "Strip" && step["start"] == 1;
        strip || step["type"] == "Metaspace" && step["prepend_scheme"] != "never"
    };
    let steps = decoder["decoders"].as_array().map_or(&[][..], Vec::as_slice);
    strips(decoder) || steps.iter().any(strips)
}

/// A stream shows one token at a time, so what a token spells must not depend on its neighbours.
fn decodes_piecewise(decoder: &Json) -> Result<()> {
    let steps = match decoder["decoders"].as_array() {
        Some(steps) => steps.as_slice(),
        None => std::slice::from_ref(decoder),
    };
    for step in steps {
        let kind = step["type"].as_str().unwrap_or("none");
        let spaces =
            kind != "Replace" || (step["pattern"]["String"] == "▁" && step["content"] == " ");
        let known = ["ByteLevel", "ByteFallback", "Fuse", "Strip", "Metaspace", "Replace"];
        if !known.contains(&kind) || !spaces {
            let detail = format!("{kind}: the text of a token would depend on its neighbours");
            return Err(bad_vocab("decoder", detail));
        }
    }
    Ok(())
}
