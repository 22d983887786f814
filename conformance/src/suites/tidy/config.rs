//! `ci/tidy.toml` and `ci/supply-chain.toml` as types. Unknown keys are errors: a misspelt limit
//! would hold nothing.

use super::tree::Tree;
use serde::Deserialize;

pub(super) const PATH: &str = "ci/tidy.toml";
const SUPPLY_CHAIN: &str = "ci/supply-chain.toml";

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
    /// A file of its own, because other people than programmers read it.
    #[serde(skip)]
    pub(super) supply_chain: SupplyChain,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SupplyChain {
    pub(super) licences: Vec<String>,
    pub(super) exceptions: Vec<String>,
    pub(super) sources: Vec<String>,
    pub(super) floor: Vec<Floor>,
    pub(super) ban: Vec<Ban>,
    pub(super) duplicate: Vec<Duplicate>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Floor {
    #[serde(rename = "crate")]
    pub(super) krate: String,
    pub(super) versions: Vec<String>,
    pub(super) advisory: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ban {
    pub(super) crates: Vec<String>,
    pub(super) why: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Duplicate {
    #[serde(rename = "crate")]
    pub(super) krate: String,
    pub(super) why: String,
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
    let mut config: Config = parse(tree, PATH)?;
    config.supply_chain = parse(tree, SUPPLY_CHAIN)?;
    Ok(config)
}

fn parse<T: serde::de::DeserializeOwned>(tree: &Tree, path: &str) -> Result<T, String> {
    let file = tree.get(path).ok_or_else(|| format!("{path}: missing"))?;
    toml::from_str(&file.text).map_err(|e| format!("{path}: {e}"))
}
