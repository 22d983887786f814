//! What a random model shall hold, as TOML. Knows the shape of a description, not its meaning.

use super::value;
use super::vocabulary::Vocabulary;
use crate::error::{Error, Result, shown};
use crate::loader::gguf::Metadata;
use std::path::Path;

/// A model to make.
#[derive(Debug, Clone)]
pub struct Description {
    /// What it is, for people.
    pub about: String,
    /// Keys and values, without the vocabulary's.
    pub metadata: Metadata,
    /// The vocabulary.
    pub vocabulary: Vocabulary,
    /// Tensors in the order of the file; `blk.N.` stands for every layer.
    pub tensors: Vec<Tensor>,
}

/// A tensor, or one a layer.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tensor {
    /// Its name. Those that start with `blk.N.` are there once a layer.
    pub name: String,
    /// Its format.
    #[serde(rename = "type")]
    pub kind: String,
    /// The format in the layers to which llama.cpp's Q4_K_M gives more bits: the first and the
    /// last eighth, and every third between.
    #[serde(default)]
    pub more: Option<String>,
    /// Sizes as GGUF lists them, the row first.
    pub shape: Vec<u64>,
    /// Standard deviation; by default the tensor's role decides.
    #[serde(default)]
    pub std: Option<f32>,
    /// The values themselves instead of random ones.
    #[serde(default)]
    pub values: Option<Vec<f32>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    about: String,
    metadata: toml::Table,
    vocabulary: Vocabulary,
    tensors: Vec<Tensor>,
}

impl Description {
    /// Reads a description; `place` names it in messages.
    pub fn parse(text: &str, place: &str) -> Result<Self> {
        let file: File = toml::from_str(text).map_err(|bad| {
            let line = bad.span().map_or(0, |span| text[..span.start].lines().count().max(1));
            Error::Usage(format!("{place}: line {line}: {}", bad.message()))
        })?;
        let mut metadata = Metadata::default();
        for (key, toml) in &file.metadata {
            let value = value(toml)
                .map_err(|why| Error::Usage(format!("{place}: key {}: {why}", shown(key))))?;
            metadata.set(key, value);
        }
        let File { about, vocabulary, tensors, .. } = file;
        Ok(Description { about, metadata, vocabulary, tensors })
    }

    /// Reads a description from a file.
    pub fn open(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
        Description::parse(&text, &shown(path.as_os_str().as_encoded_bytes()))
    }
}
