//! Gates: named sets of cases that a release must pass, read from `ci/gates.toml`. Knows patterns
//! over names, not what the cases check.

use crate::case::Case;
use crate::name;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// One gate.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// What the gate stands for, in a sentence.
    pub about: String,
    /// Patterns over case names, see [`name::matches`]; each must match a case.
    pub cases: Vec<String>,
    /// Requirement ids that some case must answer.
    #[serde(default)]
    pub requirements: Vec<String>,
}

/// All gates, by name.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct Gates(pub BTreeMap<String, Gate>);

impl Gates {
    /// Reads `ci/gates.toml` of the project at `root`.
    pub fn read(root: &Path) -> Result<Gates, String> {
        let path = root.join("ci/gates.toml");
        let at = |what: String| format!("{}: {what}", path.display());
        let text = std::fs::read_to_string(&path).map_err(|e| at(e.to_string()))?;
        Gates::parse(&text).map_err(at)
    }

    /// Reads the file's text.
    pub fn parse(text: &str) -> Result<Gates, String> {
        let gates: Gates = toml::from_str(text).map_err(|e| e.to_string())?;
        if gates.0.is_empty() {
            return Err("no gate".into());
        }
        match gates.0.iter().find(|(_, gate)| gate.cases.is_empty()) {
            None => Ok(gates),
            Some((name, _)) => Err(format!("{name} has no pattern, so it lets everything through")),
        }
    }

    /// The gate called `wanted`, where `1` stands for `gate-1`.
    pub fn find(&self, wanted: &str) -> Result<(&str, &Gate), String> {
        let spelt = format!("gate-{wanted}");
        let found = self.0.iter().find(|(name, _)| **name == wanted || **name == spelt);
        found.map(|(name, gate)| (name.as_str(), gate)).ok_or_else(|| {
            let names: Vec<&str> = self.0.keys().map(String::as_str).collect();
            format!("no gate '{wanted}'; there are: {}", names.join(", "))
        })
    }
}

impl Gate {
    /// Whether the gate holds the case `name`.
    pub fn holds(&self, name: &str) -> bool {
        self.cases.iter().any(|pattern| name::matches(pattern, name))
    }

    /// Patterns that match none of `cases`.
    pub fn empty_patterns<'a>(&self, cases: impl Iterator<Item = &'a Case>) -> Vec<&str> {
        let names: Vec<&str> = cases.map(|case| case.name.as_str()).collect();
        let empty = |pattern: &&String| !names.iter().any(|name| name::matches(pattern, name));
        self.cases.iter().filter(empty).map(String::as_str).collect()
    }

    /// Requirements that none of `cases` answers.
    pub fn unanswered<'a>(&self, cases: impl Iterator<Item = &'a Case>) -> Vec<&str> {
        let answered: Vec<&String> = cases.flat_map(|case| &case.requirements).collect();
        let open = self.requirements.iter().filter(|id| !answered.contains(id));
        open.map(String::as_str).collect()
    }
}
