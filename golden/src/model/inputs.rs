//! What people wrote for the models to read. Knows two files, not what is made of them.

use crate::Result;
use crate::store::root;
use serde::Deserialize;
use std::fs;

pub(super) const QUESTIONS: &str = "inputs/models.toml";
pub(super) const CORPUS: &str = "inputs/corpus.txt";

/// `inputs/models.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Questions {
    /// The text of the prompt whose taps are kept in full.
    pub(super) short: String,
    /// At most so many of its tokens.
    pub(super) short_tokens: usize,
    /// Taps that are not kept of it, by their names without a layer.
    pub(super) short_without: Vec<String>,
    /// At least so many tokens of the corpus; more where a window or YaRN begins later.
    pub(super) long_tokens: usize,
    /// Rows kept of them.
    pub(super) long_rows: usize,
    /// Tokens of the corpus for the models whose context is that long.
    pub(super) far_tokens: usize,
    /// Rows kept of them.
    pub(super) far_rows: usize,
    /// Texts to be continued.
    pub(super) continued: Vec<String>,
    /// By at most so many tokens.
    pub(super) continued_tokens: usize,
}

impl Questions {
    pub(super) fn read() -> Result<Self> {
        Ok(toml::from_str(&fs::read_to_string(root().join(QUESTIONS))?)?)
    }
}

pub(super) fn corpus() -> Result<String> {
    Ok(fs::read_to_string(root().join(CORPUS))?)
}
