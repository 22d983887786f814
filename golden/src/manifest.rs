//! `MANIFEST.toml`: who recorded what, from which inputs, with a digest of every file, so that a
//! hand edit cannot pass for an oracle's answer.

use crate::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

const HEAD: &str = "\
# Written by `golden regen`, like every file it lists; digests are SHA-256. A hand edit of any of
# them, or of an input without recording again, is red in `golden::provenance`.

";

/// Area name → its entry.
#[derive(Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Manifest(pub(crate) BTreeMap<String, Entry>);

/// One area. Keys of `inputs` and `files` are paths relative to `golden/`.
#[derive(Default, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) provenance: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) inputs: BTreeMap<String, String>,
    pub(crate) files: BTreeMap<String, String>,
}

impl Manifest {
    /// The manifest at `path`; an empty one where nothing has been recorded yet.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        Ok(toml::from_str(&std::fs::read_to_string(path)?)?)
    }

    pub(crate) fn text(&self) -> Result<String> {
        Ok(format!("{HEAD}{}", toml::to_string(self)?))
    }
}
