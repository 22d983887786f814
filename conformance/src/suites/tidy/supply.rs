//! Rules about what is built in: where crates come from, versions without known advisories, no
//! crate twice without a reason. Reads Cargo.lock files; the policy stands in
//! `ci/supply-chain.toml`.

use super::Rule;
use super::config::{Config, Floor};
use super::tree::{File, Tree};
use serde::Deserialize;
use std::collections::BTreeMap;

pub(super) const RULES: &[Rule] =
    &[Rule { name: "supply-chain", check: supply_chain, broken: broken_locks }];

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    source: Option<String>,
}

/// `1.2.3` as numbers; what follows a `-` or `+` does not count.
fn version(text: &str) -> Option<[u64; 3]> {
    let mut parts = text.split(['-', '+']).next()?.split('.').map(|part| part.parse().ok());
    Some([parts.next()??, parts.next()??, parts.next()??])
}

/// What semver calls compatible: the first number that is not zero, and all before it.
fn release_line(version: [u64; 3]) -> [u64; 2] {
    if version[0] > 0 { [version[0], 0] } else { [0, version[1]] }
}

fn supply_chain(tree: &Tree, config: &Config) -> Vec<String> {
    let locks: Vec<&File> = tree
        .files
        .iter()
        .filter(|file| file.path == "Cargo.lock" || file.path.ends_with("/Cargo.lock"))
        .collect();
    if !locks.iter().any(|file| file.path == "Cargo.lock") {
        return vec!["Cargo.lock: missing".into()];
    }
    let mut findings = Vec::new();
    for file in locks {
        let lock: Lock = match toml::from_str(&file.text) {
            Ok(lock) => lock,
            Err(e) => {
                findings.push(format!("{}: {e}", file.path));
                continue;
            }
        };
        let refused = lock.package.iter().filter_map(|package| refusal(package, config));
        findings.extend(refused.map(|what| format!("{}: {what}", file.path)));
        if file.path == "Cargo.lock" {
            findings.extend(duplicates(&lock, config));
        }
    }
    findings
}

fn refusal(package: &Package, config: &Config) -> Option<String> {
    let Package { name, version: text, source } = package;
    let supply = &config.supply_chain;
    if let Some(ban) = supply.ban.iter().find(|ban| ban.crates.contains(name)) {
        return Some(format!("{name} {text}: banned: {}", ban.why));
    }
    if let Some(source) = source.as_ref().filter(|source| !supply.sources.contains(source)) {
        return Some(format!("{name} {text}: comes from {source}"));
    }
    let floor = supply.floor.iter().find(|floor| floor.krate == *name)?;
    match below(floor, version(text)?) {
        true => Some(format!("{name} {text}: needs {:?}: {}", floor.versions, floor.advisory)),
        false => None,
    }
}

/// Whether `found` is too old: below the floor of its own release line, or of an older line than
/// any that was fixed.
fn below(floor: &Floor, found: [u64; 3]) -> bool {
    let mut floors: Vec<[u64; 3]> = floor.versions.iter().filter_map(|v| version(v)).collect();
    floors.sort_unstable();
    let own_line = floors.iter().find(|f| release_line(**f) == release_line(found));
    match (own_line, floors.last()) {
        (Some(own), _) => found < *own,
        (None, Some(newest)) => found < *newest,
        (None, None) => true,
    }
}

fn duplicates(lock: &Lock, config: &Config) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in &lock.package {
        versions.entry(&package.name).or_default().push(&package.version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    let allowed = &config.supply_chain.duplicate;
    let mut findings = Vec::new();
    for (name, versions) in &versions {
        if !allowed.iter().any(|duplicate| duplicate.krate == *name) {
            findings
                .push(format!("Cargo.lock: {name} in {} versions: {versions:?}", versions.len()));
        }
    }
    let stale = allowed.iter().filter(|duplicate| !versions.contains_key(duplicate.krate.as_str()));
    findings.extend(stale.map(|duplicate| {
        format!(
            "Cargo.lock: {} may be there twice ({}), but is not",
            duplicate.krate, duplicate.why
        )
    }));
    findings
}

fn broken_locks(config: &Config) -> Vec<Tree> {
    let package = |name: &str, version: &str, source: &str| {
        format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = \"{source}\"\n")
    };
    let supply = &config.supply_chain;
    let good = supply.sources.first().map_or("", String::as_str);
    // Allowed duplicates are present, so that only the flaw under test is red.
    let twice: String = supply
        .duplicate
        .iter()
        .map(|d| package(&d.krate, "1.0.0", good) + &package(&d.krate, "2.0.0", good))
        .collect();
    let mut locks = vec![
        package("a", "1.0.0", good) + &package("a", "2.0.0", good),
        package("a", "1.0.0", "git+https://example.com/a"),
        package("a", "1.0.0", "registry+https://example.com/index"),
        "[[package]]\nname = 1\n".into(),
    ];
    locks.extend(supply.floor.iter().map(|floor| package(&floor.krate, "0.0.1", good)));
    locks.extend(supply.ban.iter().flat_map(|ban| &ban.crates).map(|c| package(c, "9.0.0", good)));
    let tree = |path: &str, text: String| Tree::of(vec![File::new(path, text)]);
    let mut broken: Vec<Tree> =
        locks.into_iter().map(|lock| tree("Cargo.lock", lock + &twice)).collect();
    broken.push(tree("Cargo.lock", String::new())); // stale allowances
    broken.push(Tree::default());
    broken
}
