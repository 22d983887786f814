//! Vocabularies that fill a size: every byte is a token, so any text can be encoded, a few merges
//! show that there is merging, and the rest is called `[PADn]`, as llama.cpp's converters call ids
//! that no token has. Knows GGUF's keys; the tokens mean nothing.

use crate::error::{Error, Result};
use crate::loader::gguf::{Metadata, Strings};
use crate::tokenizer::{TokenType, gpt2_character};
use std::collections::BTreeMap;

/// What a description says of the vocabulary.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Vocabulary {
    /// How tokens are made.
    pub kind: Kind,
    /// How many ids there are.
    pub size: u32,
    /// Name of the pre-tokeniser; byte-level BPE only.
    #[serde(default)]
    pub pre: Option<String>,
    /// Control tokens and their ids.
    #[serde(default)]
    pub control: BTreeMap<String, u32>,
}

/// How tokens are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Byte-level BPE.
    Bpe,
    /// SentencePiece's BPE.
    Spm,
    /// No texts at all: the model runs on token ids.
    None,
}

/// The score of a token that merging must never make.
const NEVER: f32 = -10_000.0;

/// Tokens on their way into a file.
#[derive(Default)]
struct Tokens {
    texts: Vec<String>,
    types: Vec<TokenType>,
    scores: Vec<f32>,
    merges: Vec<String>,
}

impl Tokens {
    fn push(&mut self, text: impl Into<String>, kind: TokenType, score: f32) {
        self.texts.push(text.into());
        self.types.push(kind);
        self.scores.push(score);
    }

    /// All bytes in GPT-2's writing, and a merge of a space with each small letter.
    fn bpe() -> Self {
        let mut tokens = Tokens::default();
        let character = |byte| gpt2_character(byte).to_string();
        (0..=255).for_each(|byte| tokens.push(character(byte), TokenType::Normal, 0.0));
        let space = character(b' ');
        for letter in b'a'..=b'z' {
            let letter = character(letter);
            tokens.push(format!("{space}{letter}"), TokenType::Normal, 0.0);
            tokens.merges.push(format!("{space} {letter}"));
        }
        tokens
    }

    /// What every SentencePiece model starts with, all bytes, and the same letters.
    fn spm() -> Self {
        let mut tokens = Tokens::default();
        tokens.push("<unk>", TokenType::Unknown, 0.0);
        tokens.push("<s>", TokenType::Control, 0.0);
        tokens.push("</s>", TokenType::Control, 0.0);
        for byte in 0..=255 {
            tokens.push(format!("<0x{byte:02X}>"), TokenType::Byte, 0.0);
        }
        tokens.push("▁", TokenType::Normal, -1.0);
        for (rank, letter) in ('a'..='z').enumerate() {
            tokens.push(letter, TokenType::Normal, -1.0);
            tokens.push(format!("▁{letter}"), TokenType::Normal, -2.0 - rank as f32);
        }
        tokens
    }

    fn fill(&mut self, vocabulary: &Vocabulary) -> Result<()> {
        let (first, size) = (self.texts.len(), vocabulary.size as usize);
        if size < first {
            let detail = format!("vocabulary of {size} tokens: bytes and merges alone are {first}");
            return Err(Error::Usage(detail));
        }
        for id in first..size {
            self.push(format!("[PAD{id}]"), TokenType::Unused, NEVER);
        }
        for (text, id) in &vocabulary.control {
            let id = *id as usize;
            if id >= size {
                let detail = format!("control token {text:?} has id {id} of {size}");
                return Err(Error::Usage(detail));
            }
            self.texts[id] = text.clone();
            self.types[id] = TokenType::Control;
        }
        Ok(())
    }
}

impl Vocabulary {
    /// Writes it into a file's metadata.
    pub fn put(&self, architecture: &str, metadata: &mut Metadata) -> Result<()> {
        if self.size == 0 {
            return Err(Error::Usage("vocabulary of 0 tokens: nothing to look up".into()));
        }
        let (model, mut tokens) = match self.kind {
            Kind::Bpe => ("gpt2", Tokens::bpe()),
            Kind::Spm => ("llama", Tokens::spm()),
            Kind::None => {
                metadata.set("tokenizer.ggml.model", "no_vocab");
                metadata.set(&format!("{architecture}.vocab_size"), self.size);
                return Ok(());
            }
        };
        tokens.fill(self)?;
        metadata.set("tokenizer.ggml.model", model);
        metadata.set("tokenizer.ggml.pre", self.pre.as_deref().unwrap_or("default"));
        metadata.set("tokenizer.ggml.tokens", tokens.texts.iter().collect::<Strings>());
        if self.kind == Kind::Spm {
            metadata.set("tokenizer.ggml.scores", tokens.scores);
        } else {
            metadata.set("tokenizer.ggml.merges", tokens.merges.iter().collect::<Strings>());
        }
        let numbers: Vec<i32> = tokens.types.iter().map(|kind| *kind as i32).collect();
        metadata.set("tokenizer.ggml.token_type", numbers);
        Ok(())
    }
}
