//! A vocabulary as a file holds it, proven before anything is built from it. Knows GGUF's keys;
//! cuts no text and merges nothing.

use super::pieces::TokenType;
use crate::error::{Class, Error, Named, Result, shown};
use crate::loader::gguf::{Metadata, Strings};

/// How the tokens were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// Byte-level BPE: tokens in GPT-2's writing, and merges (`tokenizer.ggml.model = "gpt2"`).
    Bpe,
    /// SentencePiece's BPE: tokens with scores, `▁` for a space (`"llama"`).
    Spm,
}

/// Keys of the tokens with a job, and the names we give the jobs.
pub const SPECIAL_KEYS: &[(&str, &str)] = &[
    ("bos", "tokenizer.ggml.bos_token_id"),
    ("eos", "tokenizer.ggml.eos_token_id"),
    ("eot", "tokenizer.ggml.eot_token_id"),
    ("eom", "tokenizer.ggml.eom_token_id"),
    ("unknown", "tokenizer.ggml.unknown_token_id"),
    ("separator", "tokenizer.ggml.seperator_token_id"),
    ("padding", "tokenizer.ggml.padding_token_id"),
    ("mask", "tokenizer.ggml.mask_token_id"),
    ("fim-prefix", "tokenizer.ggml.fim_pre_token_id"),
    ("fim-suffix", "tokenizer.ggml.fim_suf_token_id"),
    ("fim-middle", "tokenizer.ggml.fim_mid_token_id"),
    ("fim-padding", "tokenizer.ggml.fim_pad_token_id"),
    ("fim-repository", "tokenizer.ggml.fim_rep_token_id"),
    ("fim-separator", "tokenizer.ggml.fim_sep_token_id"),
];

/// What the keys of a vocabulary begin with.
pub(crate) const KEY_PREFIX: &str = "tokenizer.ggml.";
const TOKENS: &str = "tokenizer.ggml.tokens";
const TYPES: &str = "tokenizer.ggml.token_type";
const SCORES: &str = "tokenizer.ggml.scores";
const MERGES: &str = "tokenizer.ggml.merges";
const PRE: &str = "tokenizer.ggml.pre";

/// A vocabulary. Borrows the strings of the file it was read from.
#[derive(Debug, Clone)]
pub struct Vocab<'a> {
    /// See [`Model`].
    pub model: Model,
    /// Text of each id, in the file's writing.
    pub tokens: &'a Strings,
    /// Type of each id; all normal where a file has none.
    pub types: Vec<TokenType>,
    /// Score of each id; empty for BPE.
    pub scores: Vec<f32>,
    /// `left right`, the earliest first; empty for SentencePiece.
    pub merges: Option<&'a Strings>,
    /// Name of the pre-tokeniser.
    pub pre: Option<&'a str>,
    /// (job, id) of the tokens with a job, in the order of [`SPECIAL_KEYS`].
    pub special: Vec<(&'static str, u32)>,
    /// Whether a text starts with BOS.
    pub add_bos: Option<bool>,
    /// Whether a text ends with EOS.
    pub add_eos: Option<bool>,
    /// Whether a text starts with a space that nobody wrote.
    pub add_space_prefix: Option<bool>,
    /// `general.name`, in lower case; llama.cpp decides by it how Phi-3's tokens strip.
    pub name: String,
    /// `general.architecture`.
    pub architecture: &'a str,
}

impl<'a> Vocab<'a> {
    /// Reads and checks a GGUF file's vocabulary.
    pub fn read(metadata: &'a Metadata) -> Result<Self> {
        let model = match metadata.str("tokenizer.ggml.model")? {
            "gpt2" => Model::Bpe,
            "llama" => Model::Spm,
            other => {
                let detail = format!(
                    "model {other:?}, we read \"gpt2\" (byte-level BPE) and \"llama\" \
                     (SentencePiece BPE)"
                );
                return Err(bad("tokenizer.ggml.model", detail));
            }
        };
        let tokens = metadata.strings(TOKENS)?;
        let types = match metadata.opt_i32s(TYPES)? {
            None => vec![TokenType::Normal; tokens.len()],
            Some(numbers) => read_types(numbers, tokens.len())?,
        };
        let vocab = Vocab {
            model,
            tokens,
            types,
            scores: read_scores(metadata, model, tokens.len())?,
            merges: match model {
                Model::Bpe => Some(metadata.strings(MERGES)?),
                Model::Spm => None,
            },
            pre: metadata.opt_str(PRE)?,
            special: special_of(metadata)?,
            add_bos: metadata.opt_bool("tokenizer.ggml.add_bos_token")?,
            add_eos: metadata.opt_bool("tokenizer.ggml.add_eos_token")?,
            add_space_prefix: metadata.opt_bool("tokenizer.ggml.add_space_prefix")?,
            name: metadata.opt_str("general.name")?.unwrap_or_default().to_lowercase(),
            architecture: metadata.opt_str("general.architecture")?.unwrap_or_default(),
        };
        vocab.check()?;
        Ok(vocab)
    }

    /// Everything that must be true before a tokeniser is built, except what building finds out.
    pub fn check(&self) -> Result<()> {
        if self.tokens.is_empty() {
            return Err(bad(TOKENS, "no tokens".into()));
        }
        if self.tokens.len() >= u32::MAX as usize {
            return Err(bad(TOKENS, format!("{} tokens, ids have 32 bits", self.tokens.len())));
        }
        // One search of all texts is faster than one in each.
        let holds_nul = memchr::memchr(0, self.tokens.bytes()).is_some();
        for (id, token) in self.tokens.iter().enumerate() {
            if token.is_empty() {
                return Err(bad(TOKENS, format!("token {id} is empty: it would match everywhere")));
            }
            if holds_nul && memchr::memchr(0, token).is_some() {
                let detail = format!("token {id} {} holds a NUL byte", shown(token));
                return Err(bad(TOKENS, detail));
            }
        }
        let ids_end = self.tokens.len() as u64;
        for (job, id) in &self.special {
            if u64::from(*id) >= ids_end {
                let key = SPECIAL_KEYS.iter().find(|(name, _)| name == job).map_or("", |key| key.1);
                let last = ids_end - 1;
                return Err(bad(key, format!("id {id}, but the last token is {last}")));
            }
        }
        for (wanted, job) in [(self.add_bos, "bos"), (self.add_eos, "eos")] {
            if wanted == Some(true) && self.special(job).is_none() {
                let detail = format!("true, but there is no {job} token");
                return Err(bad(&format!("tokenizer.ggml.add_{job}_token"), detail));
            }
        }
        Ok(())
    }

    /// The id of the token with this job.
    pub fn special(&self, job: &str) -> Option<u32> {
        self.special.iter().find(|(name, _)| *name == job).map(|(_, id)| *id)
    }

    /// The text of an id.
    pub fn token(&self, id: u32) -> Option<&'a [u8]> {
        self.tokens.get(id as usize)
    }
}

fn bad(key: &str, detail: String) -> Error {
    Error::refused(Class::BadVocab, Named("key", key).to_string(), detail)
}

/// A refusal that names the tokens' key; for what building finds out.
pub(crate) fn bad_tokens(detail: String) -> Error {
    bad(TOKENS, detail)
}

/// A refusal that names the merges' key.
pub(crate) fn bad_merges(detail: String) -> Error {
    bad(MERGES, detail)
}

/// A refusal that names the pre-tokeniser's key.
pub(crate) fn bad_pre(class: Class, detail: String) -> Error {
    Error::refused(class, Named("key", PRE).to_string(), detail)
}

fn read_types(numbers: &[i32], wanted: usize) -> Result<Vec<TokenType>> {
    if numbers.len() != wanted {
        return Err(bad(TYPES, format!("{} types for {wanted} tokens", numbers.len())));
    }
    let typed = |(id, number): (usize, &i32)| {
        TokenType::from_number(*number)
            .ok_or_else(|| bad(TYPES, format!("token {id} has type {number}, known are 1 to 6")))
    };
    numbers.iter().enumerate().map(typed).collect()
}

fn read_scores(metadata: &Metadata, model: Model, wanted: usize) -> Result<Vec<f32>> {
    use crate::loader::gguf::{Array, Value};
    let scores: Vec<f32> = match metadata.get(SCORES) {
        // Rarely seen, but llama.cpp reads whole numbers too.
        Some(Value::Array(Array::I32(numbers))) => numbers.iter().map(|n| *n as f32).collect(),
        None if model == Model::Bpe => return Ok(Vec::new()),
        _ => metadata.f32s(SCORES)?.to_vec(),
    };
    if scores.len() != wanted {
        return Err(bad(SCORES, format!("{} scores for {wanted} tokens", scores.len())));
    }
    if let Some(id) = scores.iter().position(|score| score.is_nan()) {
        return Err(bad(SCORES, format!("the score of token {id} is NaN: it has no order")));
    }
    Ok(scores)
}

/// (job, id) of the tokens that the metadata gives a job.
pub(crate) fn special_of(metadata: &Metadata) -> Result<Vec<(&'static str, u32)>> {
    let mut special = Vec::new();
    for (job, key) in SPECIAL_KEYS {
        if let Some(id) = metadata.opt_u32(key)? {
            special.push((*job, id));
        }
    }
    Ok(special)
}
