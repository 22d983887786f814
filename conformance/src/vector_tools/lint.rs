//! What a vector file must be beyond readable: explained, without leftovers, and written in the one
//! way there is.

use super::{format, schema};
use crate::suites::vectors::{SUITES, cases_in};
use harness::discover::{self, SCHEMA_FOLDER};
use harness::vector::{self, VectorFile};
use harness::{Case, Run, capability, roots};
use serde::Deserialize;
use std::path::Path;

/// What a rule found, each with its place.
type Findings = Vec<String>;

/// The `tidy::vectors::` cases, run by `judge vectors lint` too.
pub fn cases() -> Vec<Case> {
    let case = |name: &str, findings: fn(&Path) -> Findings| {
        Case::new(format!("tidy::vectors::{name}"), move |_| {
            match findings(&roots::project().join("vectors")) {
                none if none.is_empty() => Ok(()),
                some => Err(some.join("\n").into()),
            }
        })
    };
    vec![case("format", unformatted), case("lint", lint), case("schema", drifted)]
}

/// Files that `judge vectors fmt` would change.
fn unformatted(root: &Path) -> Findings {
    let files = discover::vector_files(root).into_iter();
    let finding = |found: discover::Found| {
        let text = found.text.ok()?;
        let path = found.path.display();
        match format::format(&text) {
            Ok(formatted) if formatted == text => None,
            Ok(_) => Some(format!("{path}: not formatted; run `cargo judge vectors fmt`")),
            Err(what) => Some(format!("{path}: {what}")),
        }
    };
    files.filter_map(finding).collect()
}

/// Keys of a case that its suite knows, and this rule does not look at.
#[derive(Debug, Deserialize)]
struct AnyCase {
    #[serde(flatten)]
    _own: toml::Table,
}

/// Everything else that is wrong with the files under `root`.
pub fn lint(root: &Path) -> Findings {
    let mut findings = Vec::new();
    for found in discover::vector_files(root) {
        let (path, text) = (found.path.clone(), found.text.clone());
        // What cannot be read is a red case already; run it to say why.
        for case in cases_in(found).iter().filter(|case| case.name.contains("::cannot-be-read::")) {
            if let Err(failure) = (case.body)(&mut Run::default()) {
                findings.push(failure.text().to_owned());
            }
        }
        let Ok(Ok(file)) = text.map(|text| vector::parse::<AnyCase>(&path, &text)) else {
            continue;
        };
        findings.extend(unexplained(&file).map(|what| format!("{}: {what}", path.display())));
    }
    findings
}

fn unexplained(file: &VectorFile<AnyCase>) -> impl Iterator<Item = String> {
    let head = &file.head;
    let mut findings = Vec::new();
    let texts = [("about", &head.about), ("source.ref", &head.source.reference)];
    for (key, _) in texts.iter().filter(|(_, text)| text.trim().is_empty()) {
        findings.push(format!("{key} is empty"));
    }
    for (id, flag) in &head.flag {
        if !file.cases.iter().any(|(case, _)| case.flags.contains(id)) {
            findings.push(format!("[flag.{id}] is of no case"));
        }
        if flag.bug.trim().is_empty() || flag.effect.trim().is_empty() {
            findings.push(format!("[flag.{id}] explains nothing"));
        }
    }
    for unknown in head.requires.iter().filter(|name| capability::row(name).is_none()) {
        findings.push(format!("requires '{unknown}', which is no capability"));
    }
    findings.into_iter()
}

/// Schemas that do not say what the types say, lack, or have no suite.
fn drifted(root: &Path) -> Findings {
    let advice = "run `cargo judge vectors schema`";
    let folder = root.join(SCHEMA_FOLDER);
    let documents = match schema::documents() {
        Ok(documents) => documents,
        Err(what) => return vec![what],
    };
    let mut findings = Vec::new();
    for (name, text) in &documents {
        let path = folder.join(name);
        match std::fs::read_to_string(&path) {
            Ok(stored) if stored == *text => {}
            Ok(_) => findings.push(format!("{}: out of date; {advice}", path.display())),
            Err(error) => findings.push(format!("{}: {error}; {advice}", path.display())),
        }
    }
    for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !documents.contains_key(&name) {
            findings.push(format!("{}: no suite has this name", entry.path().display()));
        }
    }
    let names: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
    if !names.is_sorted() {
        findings.push(format!("the table of vector suites is not sorted: {names:?}"));
    }
    findings
}
