//! The authored prompts. Knows their file; the same shape is read by the cases.

use crate::Result;
use crate::store::root;
use serde::Deserialize;
use std::collections::BTreeMap;

pub(super) const FILE: &str = "inputs/prompts.toml";

#[derive(Clone, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Prompt {
    Text(String),
    Run { repeat: String, times: usize },
}

/// Group → name → text.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(super) struct Prompts(BTreeMap<String, BTreeMap<String, Prompt>>);

impl Prompts {
    pub(super) fn read() -> Result<Self> {
        Ok(toml::from_str(&std::fs::read_to_string(root().join(FILE))?)?)
    }

    pub(super) fn without(mut self, groups: &[&str]) -> Self {
        self.0.retain(|group, _| !groups.contains(&group.as_str()));
        self
    }

    /// `group.name` and the text, in order.
    pub(super) fn named(&self) -> impl Iterator<Item = (String, String)> {
        self.0.iter().flat_map(|(group, prompts)| {
            prompts.iter().map(move |(name, prompt)| {
                let text = match prompt {
                    Prompt::Text(text) => text.clone(),
                    Prompt::Run { repeat, times } => repeat.repeat(*times),
                };
                (format!("{group}.{name}"), text)
            })
        })
    }
}
