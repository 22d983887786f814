//! The recorded texts of a model: what it says when it always takes the likeliest token, and its
//! perplexity. Knows how the two snapshots are laid out.

use super::super::folder;
use harness::Failure;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How a text goes on.
pub(in crate::suites) struct Continuation {
    pub text: String,
    pub prompt: Vec<i32>,
    pub ids: Vec<i32>,
    /// Of each id: its logit less the second largest. A tie is a margin of nothing.
    pub margins: Vec<f32>,
}

/// By llama.cpp's method, on `golden/inputs/corpus.txt`.
#[derive(Debug)]
pub(in crate::suites) struct Perplexity {
    pub tokens: usize,
    /// Of all ids as little-endian i32.
    pub sha256: String,
    pub chunks: usize,
    pub chunk: usize,
    pub scored: usize,
    /// Value and standard error on the shipped file.
    pub file: (f64, f64),
    /// The same on its twin.
    pub twin: (f64, f64),
}

/// Every continuation recorded of a model's twin.
pub(in crate::suites) fn continuations(model: &str) -> Result<Vec<Continuation>, Failure> {
    continuations_in(&answers(model))
}

/// The same of any folder that `golden regen` wrote.
pub(in crate::suites) fn continuations_in(answers: &Path) -> Result<Vec<Continuation>, Failure> {
    parse_continuations(&read(answers, "greedy")?)
}

/// A model's perplexity on the authored corpus.
pub(in crate::suites) fn perplexity(model: &str) -> Result<Perplexity, Failure> {
    perplexity_in(&answers(model))
}

/// The same, recorded anywhere.
pub(in crate::suites) fn perplexity_in(answers: &Path) -> Result<Perplexity, Failure> {
    parse_perplexity(&read(answers, "perplexity")?)
}

fn answers(model: &str) -> PathBuf {
    folder().join("traces").join(model)
}

fn read(answers: &Path, what: &str) -> Result<String, Failure> {
    let path = answers.join(format!("{what}.snap"));
    let text = std::fs::read_to_string(&path)
        .map_err(|error| format!("{}: {error}; `golden regen` records it", path.display()))?;
    Ok(text)
}

/// What follows insta's head of a snapshot.
fn body(text: &str) -> Result<&str, Failure> {
    let after = text.strip_prefix("---\n").and_then(|text| text.split_once("\n---\n"));
    Ok(after.ok_or("no head of a snapshot")?.1)
}

fn fields(text: &str) -> Result<BTreeMap<&str, &str>, Failure> {
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let (key, value) = line.split_once(':').ok_or_else(|| format!("'{line}' is no field"))?;
        found.insert(key, value.trim_start());
    }
    Ok(found)
}

pub(super) fn parse_continuations(text: &str) -> Result<Vec<Continuation>, Failure> {
    let mut found = Vec::new();
    for part in body(text)?.split("=== ").skip(1) {
        let (text, rest) = part.split_once('\n').ok_or("a text without a continuation")?;
        let fields = fields(rest)?;
        let field = |key: &str| fields.get(key).ok_or_else(|| format!("{text}: no {key}"));
        let ids = |key: &str| -> Result<Vec<i32>, Failure> {
            Ok(field(key)?.split(' ').map(str::parse).collect::<Result<_, _>>()?)
        };
        let margins: Vec<f32> =
            field("margins")?.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        let continuation = Continuation {
            text: serde_json::from_str(text)?,
            prompt: ids("prompt")?,
            ids: ids("ids")?,
            margins,
        };
        let Continuation { ids, margins, .. } = &continuation;
        let sound = margins.iter().all(|margin| margin.is_finite() && *margin >= 0.0);
        if ids.is_empty() || ids.len() != margins.len() || !sound {
            return Err(format!("{text}: {} ids with margins {margins:?}", ids.len()).into());
        }
        found.push(continuation);
    }
    if found.is_empty() { Err("no text is continued".into()) } else { Ok(found) }
}

pub(super) fn parse_perplexity(text: &str) -> Result<Perplexity, Failure> {
    let fields = fields(body(text)?)?;
    let field = |key: &str| fields.get(key).copied().ok_or_else(|| format!("no {key}"));
    let measured = |key: &str| -> Result<(f64, f64), Failure> {
        let (value, error) = field(key)?.split_once(" +/- ").ok_or("no error behind a value")?;
        let (value, error) = (value.parse::<f64>()?, error.parse::<f64>()?);
        if !(value.is_finite() && error.is_finite() && value >= 1.0 && error >= 0.0) {
            return Err(format!("{key}: {value} +/- {error} is no perplexity").into());
        }
        Ok((value, error))
    };
    let (chunks, chunk) = field("chunks")?.split_once(" of ").ok_or("chunks without a length")?;
    let perplexity = Perplexity {
        tokens: field("tokens")?.parse()?,
        sha256: field("sha256")?.into(),
        chunks: chunks.parse()?,
        chunk: chunk.parse()?,
        scored: field("scored")?.parse()?,
        file: measured("file")?,
        twin: measured("twin")?,
    };
    let Perplexity { tokens, chunks, chunk, scored, .. } = &perplexity;
    // The last position of a chunk predicts nothing that is in it.
    if *chunks < 2 || tokens / chunk != *chunks || *scored != chunks * (chunk / 2 - 1) {
        return Err(format!("{scored} scored of {chunks} chunks of {chunk} of {tokens}").into());
    }
    Ok(perplexity)
}
