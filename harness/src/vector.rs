//! Reads vector files: TOML with a shared head and cases whose fields the suite declares.
//! Unknown keys are errors everywhere, because a misspelt want is a check that cannot fail.

use schemars::JsonSchema;
use serde::{Deserialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::path::Path;

/// Where a vector's wants come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// A published specification.
    Spec,
    /// Recorded from another implementation.
    Oracle,
    /// Computed by hand, with the computation in the case's `about`.
    Hand,
    /// A bug that happened.
    Regression,
}

/// Provenance of a vector file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// What kind of source.
    pub kind: SourceKind,
    /// Which one: document and section, program and version, issue.
    #[serde(rename = "ref")]
    pub reference: String,
}

/// A known bug that cases of a file guard against.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flag {
    /// Where it happened.
    pub bug: String,
    /// What a user sees when it happens.
    pub effect: String,
}

/// Tolerances that a file grants. A bound that is absent grants nothing and demands nothing; at
/// least one must be there, with the reason. An element is within `abs + rel × |want|`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Budget {
    /// Normalised mean squared error over everything and, unless `worst-row-nmse` says otherwise,
    /// over the worst row.
    #[serde(default)]
    pub nmse: Option<f64>,
    /// Normalised mean squared error over the worst row.
    #[serde(default)]
    pub worst_row_nmse: Option<f64>,
    /// Relative error of any element.
    #[serde(default)]
    pub rel: Option<f64>,
    /// Absolute error of any element.
    #[serde(default)]
    pub abs: Option<f64>,
    /// The reason; required.
    pub why: String,
}

impl Budget {
    /// The bounds that are there.
    pub fn bounds(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let named = [
            ("nmse", self.nmse),
            ("worst-row-nmse", self.worst_row_nmse),
            ("rel", self.rel),
            ("abs", self.abs),
        ];
        named.into_iter().filter_map(|(name, bound)| Some((name, bound?)))
    }

    /// Whether the budget bounds anything, by finite numbers, for a reason.
    pub fn check(&self) -> Result<(), String> {
        if self.why.trim().is_empty() {
            return Err("a budget without a why".into());
        }
        if let Some((name, bound)) = self.bounds().find(|(_, b)| !b.is_finite() || *b <= 0.0) {
            return Err(format!("budget {name} = {bound}: must be positive and finite"));
        }
        match self.bounds().next() {
            Some(_) => Ok(()),
            None => Err("a budget that bounds nothing".into()),
        }
    }
}

/// The head that every vector file shares.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Which suite judges the file.
    pub suite: String,
    /// What the file is about, in a sentence.
    pub about: String,
    /// Where the wants come from.
    pub source: Source,
    /// Capabilities without which the file is ignored.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Tolerances; absent means bit-exact.
    #[serde(default)]
    pub budget: Option<Budget>,
    /// Known bugs, by id.
    #[serde(default)]
    pub flag: BTreeMap<String, Flag>,
}

/// What every case in a file has, whatever the suite.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseHead {
    /// Unique in the file, kebab-case.
    pub name: String,
    /// What the case shows, in a sentence.
    #[serde(default)]
    pub about: String,
    /// Ids of `[flag.X]` in the same file; they are requirement ids too.
    #[serde(default)]
    pub flags: Vec<String>,
    /// Why the case is known to fail: it still runs, and passing is then red.
    #[serde(default, rename = "known-failure")]
    pub known_failure: Option<String>,
}

const CASE_HEAD_KEYS: [&str; 4] = ["name", "about", "flags", "known-failure"];

/// A vector file whose cases hold a suite's own fields `C`.
#[derive(Debug, Clone)]
pub struct VectorFile<C> {
    /// The shared head.
    pub head: Head,
    /// The cases, each with its own head.
    pub cases: Vec<(CaseHead, C)>,
}

/// The `suite` of a vector file, without judging the rest.
pub fn suite_of(table: &toml::Table) -> Result<&str, String> {
    let suite = table.get("suite").and_then(|suite| suite.as_str());
    suite.ok_or_else(|| "no string key `suite`".into())
}

/// Reads a file's text. `path` is for messages only.
pub fn parse<C: DeserializeOwned>(path: &Path, text: &str) -> Result<VectorFile<C>, String> {
    let table = text.parse().map_err(|e| format!("{}: not TOML: {e}", path.display()))?;
    from_table(path, table)
}

/// Reads a file that is TOML already. `path` is for messages only.
pub fn from_table<C: DeserializeOwned>(
    path: &Path,
    mut table: toml::Table,
) -> Result<VectorFile<C>, String> {
    let at = |what: String| format!("{}: {what}", path.display());
    let cases = match table.remove("case") {
        Some(toml::Value::Array(cases)) if !cases.is_empty() => cases,
        _ => {
            return Err(at("no [[case]]: a vector file without cases checks nothing".into()));
        }
    };
    let head: Head = table.try_into().map_err(|e| at(format!("head: {e}")))?;
    if let Some(budget) = &head.budget {
        budget.check().map_err(|e| at(format!("head: {e}")))?;
    }
    let mut parsed: Vec<(CaseHead, C)> = Vec::with_capacity(cases.len());
    for (index, case) in cases.into_iter().enumerate() {
        let toml::Value::Table(mut fields) = case else {
            return Err(at(format!("case {index} is not a table")));
        };
        if let Some(key) = fields.iter().find_map(|(key, value)| decimal(key, value)) {
            let what = "is a decimal fraction: write bits, a hex float or an integer";
            return Err(at(format!("case {index}: {key} {what}")));
        }
        let heads = CASE_HEAD_KEYS.iter().filter_map(|key| fields.remove_entry(*key)).collect();
        let case_head: CaseHead =
            toml::Value::Table(heads).try_into().map_err(|e| at(format!("case {index}: {e}")))?;
        let name = case_head.name.clone();
        if parsed.iter().any(|(other, _)| other.name == name) {
            return Err(at(format!("two cases are named '{name}'")));
        }
        if let Some(unknown) = case_head.flags.iter().find(|f| !head.flag.contains_key(*f)) {
            return Err(at(format!("case '{name}': no [flag.{unknown}] in this file")));
        }
        let own =
            toml::Value::Table(fields).try_into().map_err(|e| at(format!("case '{name}': {e}")))?;
        parsed.push((case_head, own));
    }
    Ok(VectorFile { head, cases: parsed })
}

/// The key under which a value holds a TOML float: decimal, so nobody can see which bits are meant,
/// and it can be `nan`.
fn decimal(key: &str, value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::Float(_) => Some(key.into()),
        toml::Value::Array(items) => items.iter().find_map(|item| decimal(key, item)),
        toml::Value::Table(table) => {
            table.iter().find_map(|(inner, item)| decimal(&format!("{key}.{inner}"), item))
        }
        _ => None,
    }
}
