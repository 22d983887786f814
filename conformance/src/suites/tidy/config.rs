//! `ci/tidy.toml` as types. Unknown keys are errors: a misspelt limit would hold nothing.

use super::tree::Tree;
use serde::Deserialize;

pub(super) const PATH: &str = "ci/tidy.toml";

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Config {
    pub(super) sources: Vec<String>,
    pub(super) limits: Limits,
    pub(super) root: Root,
    pub(super) weight: Vec<Weight>,
    pub(super) unsafe_code: Vec<UnsafeCode>,
    pub(super) forbidden: Vec<Forbidden>,
    pub(super) no_panic: NoPanic,
    pub(super) documents: Documents,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Limits {
    pub(super) file_lines: usize,
    pub(super) function_lines: usize,
    pub(super) line_columns: usize,
    pub(super) median_lines: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Root {
    pub(super) visible: Vec<String>,
    pub(super) hidden: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Weight {
    pub(super) folder: String,
    pub(super) megabytes: u64,
    pub(super) why: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UnsafeCode {
    pub(super) path: String,
    pub(super) why: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Forbidden {
    pub(super) words: Vec<String>,
    pub(super) why: String,
    pub(super) outside: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoPanic {
    pub(super) folder: String,
    pub(super) tokens: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Documents {
    pub(super) files: Vec<String>,
    pub(super) cargo_commands: Vec<String>,
    pub(super) folders: Vec<String>,
    pub(super) placeholders: Vec<String>,
}

pub(super) fn read(tree: &Tree) -> Result<Config, String> {
    let file = tree.get(PATH).ok_or_else(|| format!("{PATH}: missing"))?;
    toml::from_str(&file.text).map_err(|e| format!("{PATH}: {e}"))
}
