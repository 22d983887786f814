//! Suite `tokenizer-text`: the tokens of a text under a family's vocabulary, by every code that can
//! read it, and what comes back. A vocabulary is one that tiktoken-rs carries (its own answer must
//! be the vector's too) or a fixture under `golden/tokenizers`, as GGUF and as tokenizer.json.

use super::Vector;
use crate::suites::tokenizer::tiktoken::{GPT2, O200K_HARMONY};
use engine::loader::gguf::Gguf;
use engine::profile::Profile;
use engine::tokenizer::{EncodeOptions, JsonFile, Options, Tokenizer};
use harness::vector::{CaseHead, Head};
use harness::{Failure, Run, roots};
use schemars::JsonSchema;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// One text under one vocabulary.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Text {
    /// `o200k-harmony`, `gpt-2`, or the name of a fixture.
    vocabulary: String,
    /// The text.
    text: String,
    /// Control tokens that the text spells are meant.
    #[serde(default)]
    parse_special: bool,
    /// BOS and EOS are added as the vocabulary says.
    #[serde(default)]
    add_special: bool,
    /// The text of each token; a token that is no whole character is `hex:f09f`.
    want: Vec<String>,
    /// The id of each token, for vocabularies that the world agrees on.
    #[serde(default)]
    ids: Option<Vec<u32>>,
    /// The tokens in llama.cpp's reading, if they are others.
    #[serde(default)]
    llama_cpp: Option<Vec<String>>,
    /// With `llama-cpp`: the id and the reason of the difference.
    #[serde(default)]
    deviation: Option<(String, String)>,
    /// What decoding gives, if it is not the text itself.
    #[serde(default)]
    decoded: Option<String>,
    /// Tokens as the file's tokenizer.json gives them, if a GGUF file cannot say the same.
    #[serde(default)]
    json: Option<Vec<String>>,
}

/// Who reads a vocabulary, whom it follows, and what it has become.
type Reader = (&'static str, Profile, Tokenizer);

/// Everything that can read `vocabulary`. Built once per process and never freed: a vector takes
/// a millisecond, its tokenizers half a second.
fn readers(vocabulary: &str) -> Result<&'static [Reader], Failure> {
    static BUILT: Mutex<BTreeMap<String, &'static [Reader]>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(readers) = built.get(vocabulary) {
        return Ok(readers);
    }
    let readers: &[Reader] = Vec::leak(build_readers(vocabulary)?);
    built.insert(vocabulary.to_owned(), readers);
    Ok(readers)
}

fn build_readers(vocabulary: &str) -> Result<Vec<Reader>, Failure> {
    let options = |profile| Options { profile, ..Options::default() };
    let both = [("gguf", Profile::Reference), ("gguf", Profile::LlamaCpp)];
    let family = [&O200K_HARMONY, &GPT2].into_iter().find(|f| f.name == vocabulary);
    if let Some(family) = family {
        let metadata = &family.made()?.metadata;
        let made = both.map(|(name, profile)| {
            Ok((name, profile, Tokenizer::from_metadata(metadata, &options(profile))?))
        });
        return made.into_iter().collect();
    }
    let path = roots::project().join(format!("golden/tokenizers/{vocabulary}.gguf"));
    let file = Gguf::open(&path)?;
    let mut all = Vec::new();
    for (name, profile) in both {
        let made = Tokenizer::from_metadata(file.metadata(), &options(profile))?;
        all.push((name, profile, made));
    }
    let json = std::fs::read(path.with_extension("json"))?;
    for (name, foreign) in [("tokenizer.json", false), ("tokenizers crate", true)] {
        let file = JsonFile { json: &json, config: None, foreign };
        let made = Tokenizer::from_json(file, &Options::default())?;
        all.push((name, Profile::Reference, made));
    }
    Ok(all)
}

impl Text {
    /// The vector's wants, and whether they hold together.
    fn columns(&self, run: &mut Run) -> Result<[&[String]; 2], Failure> {
        match (&self.llama_cpp, &self.deviation) {
            (Some(theirs), Some(_)) if *theirs == self.want => {
                Err("llama.cpp is said to give other tokens, but they are ours".into())
            }
            (Some(theirs), Some((id, reason))) => {
                run.deviation(id, reason);
                Ok([&self.want, theirs])
            }
            (None, None) => Ok([&self.want; 2]),
            _ => Err("`llama-cpp` and `deviation` belong together".into()),
        }
    }

    /// tiktoken's own answer, where it carries the vocabulary.
    fn oracle(&self) -> Option<Vec<u32>> {
        let family = [&O200K_HARMONY, &GPT2].into_iter().find(|f| f.name == self.vocabulary)?;
        let oracle = (family.oracle)();
        Some(match self.parse_special {
            true => oracle.encode_with_special_tokens(&self.text),
            false => oracle.encode_ordinary(&self.text),
        })
    }
}

/// A token as the vectors spell it.
fn spelled(piece: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(piece) {
        Ok(text) => text.into(),
        Err(_) => {
            let hex: String = piece.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("hex:{hex}").into()
        }
    }
}

impl Vector for Text {
    const SUITE: &'static str = "tokenizer-text";

    fn judge(&self, _: &Head, _: &CaseHead, run: &mut Run) -> Result<(), Failure> {
        let [reference, llama_cpp] = self.columns(run)?;
        let options =
            EncodeOptions { add_special: self.add_special, parse_special: self.parse_special };
        let oracle = self.oracle();
        for (who, profile, tokenizer) in readers(&self.vocabulary)? {
            let ids = tokenizer.encode(&self.text, options)?;
            let pieces = ids.iter().map(|id| spelled(tokenizer.piece(*id).unwrap_or_default()));
            let pieces: Vec<Cow<str>> = pieces.collect();
            let want = match (*who, *profile, &self.json) {
                (_, Profile::LlamaCpp, _) => llama_cpp,
                ("gguf", ..) | (_, _, None) => reference,
                (_, _, Some(json)) => json,
            };
            let who = format!("{who}, {profile:?}");
            if pieces != *want {
                return Err(format!("{who}: {pieces:?} {ids:?}, wanted {want:?}").into());
            }
            if *profile == Profile::LlamaCpp {
                continue;
            }
            for (other, name) in [(&self.ids, "the vector"), (&oracle, "tiktoken")] {
                if other.as_ref().is_some_and(|other| *other != ids) {
                    return Err(format!("{who}: {ids:?}, {name} says {other:?}").into());
                }
            }
            let back = tokenizer.decode(&ids, self.parse_special)?;
            let text = self.decoded.as_ref().unwrap_or(&self.text);
            if back != *text {
                return Err(format!("{who}: comes back as {back:?}, wanted {text:?}").into());
            }
        }
        Ok(())
    }
}
