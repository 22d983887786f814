//! Every file under `golden/` is either authored (named here) or recorded, and a recorded one is
//! what the tool wrote: an expectation edited by hand is no oracle's answer.

use super::folder;
use harness::{Case, Failure, Run};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What people write under `golden/`; everything else is recorded.
const AUTHORED: [&str; 11] = [
    ".cargo",
    ".gitattributes",
    "Cargo.lock",
    "Cargo.toml",
    "MANIFEST.toml", // recorded, and the one that lists the others
    "README.md",
    "inputs",
    "models", // trained; recordings name them as inputs, with their digests
    "oracles",
    "src",
    "target",
];

/// Room that a clone can afford.
const MOST_BYTES: u64 = 9_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Area {
    provenance: BTreeMap<String, String>,
    #[serde(default)]
    inputs: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
}

pub(super) fn cases() -> Vec<Case> {
    vec![Case::new("golden::provenance", provenance)]
}

fn provenance(run: &mut Run) -> Result<(), Failure> {
    let path = folder().join("MANIFEST.toml");
    let text = std::fs::read_to_string(&path)
        .map_err(|error| format!("{}: {error}; `golden regen` writes it", path.display()))?;
    let areas: BTreeMap<String, Area> = toml::from_str(&text)?;
    let mut faults = Vec::new();
    let mut listed = BTreeSet::new();
    for (name, area) in &areas {
        for key in ["oracle", "threads"] {
            if area.provenance.get(key).is_none_or(String::is_empty) {
                faults.push(format!("MANIFEST.toml: [{name}.provenance] lacks {key}"));
            }
        }
        for (path, digest) in area.files.iter().chain(&area.inputs) {
            faults.extend(altered(path, digest));
        }
        listed.extend(area.files.keys().cloned());
    }
    let mut bytes = 0;
    for path in recorded(&folder(), "")? {
        bytes += std::fs::metadata(folder().join(&path))?.len();
        if !listed.contains(&path) {
            faults.push(format!("golden/{path}: no oracle recorded this"));
        }
    }
    if bytes > MOST_BYTES {
        faults.push(format!("recordings take {bytes} bytes; {MOST_BYTES} are allowed"));
    }
    if listed.is_empty() {
        faults.push("MANIFEST.toml lists no file".into());
    }
    run.figure("recorded", bytes as f64, "bytes");
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n").into()) }
}

/// The fault of a listed file that is not what was recorded.
fn altered(path: &str, digest: &str) -> Option<String> {
    match std::fs::read(folder().join(path)) {
        Err(error) => Some(format!("golden/{path}: {error}")),
        Ok(bytes) => {
            let is: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
            (is != digest).then(|| {
                format!(
                    "golden/{path}: changed since `golden regen` (sha256 {is}, recorded {digest})"
                )
            })
        }
    }
}

/// Recorded files below `folder`, as paths relative to `golden/`.
fn recorded(folder: &Path, prefix: &str) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    for item in std::fs::read_dir(folder)? {
        let item = item?;
        let name = format!("{prefix}{}", item.file_name().to_string_lossy());
        if prefix.is_empty() && AUTHORED.contains(&name.as_str()) {
            continue;
        }
        if item.file_type()?.is_dir() {
            found.extend(recorded(&item.path(), &format!("{name}/"))?);
        } else {
            found.push(name);
        }
    }
    Ok(found)
}
