//! Rules about the project as a whole: its root, its weight, its words, its dependencies, its
//! requirements and its schemas.

use super::Rule;
use super::config::Config;
use super::tree::{File, Tree};
use std::collections::BTreeSet;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "root-entries",
        check: root_entries,
        broken: |config| {
            let visible = &config.root.visible;
            let good = || visible.iter().map(|name| File::new(name, ""));
            let with = |extra: &str| good().chain([File::new(extra, "")]).collect();
            vec![
                Tree::of(with("scripts/build.sh")),
                Tree::of(with("notes.md")),
                Tree::of(with(".idea/workspace.xml")),
                Tree::of(good().skip(1).collect()),
            ]
        },
    },
    Rule {
        name: "weight",
        check: weight,
        broken: |config| {
            let heavy = |weight: &super::config::Weight| {
                let mut file = File::new(&format!("{}blob.bin", weight.folder), "");
                file.bytes = weight.megabytes * 1_000_000 + 1;
                Tree::of(vec![file])
            };
            config.weight.iter().map(heavy).collect()
        },
    },
    Rule {
        name: "forbidden-words",
        check: forbidden_words,
        broken: |config| {
            let words = config.forbidden.iter().flat_map(|entry| &entry.words);
            words
                .map(|word| Tree::of(vec![File::new("engine/src/a.rs", format!("// {word}\n"))]))
                .collect()
        },
    },
    Rule {
        name: "pinned-actions",
        check: pinned_actions,
        broken: |_| {
            let flow = |text: &str| {
                Tree::of(vec![File::new(".github/workflows/a.yml", format!("jobs:\n{text}\n"))])
            };
            vec![
                flow("permissions: {}\n      - uses: actions/checkout@v5"),
                flow("permissions: {}\n      - uses: actions/checkout@main # v5.0.0"),
                flow("      - run: ci/check.sh"), // may do whatever the token may
                flow("permissions: {}\n      - run: cargo test"),
                Tree::default(),
            ]
        },
    },
    Rule {
        name: "dependency-reasons",
        check: dependency_reasons,
        broken: |_| {
            let workspace = "[workspace.dependencies]\nserde = \"1\"\n";
            let table = "[workspace.dependencies.serde]\nversion = \"1\"\n";
            let member = "[dependencies]\nserde = { version = \"1\" } # typed JSON\n";
            vec![
                Tree::of(vec![File::new("Cargo.toml", workspace)]),
                Tree::of(vec![File::new("Cargo.toml", table)]),
                Tree::of(vec![
                    File::new("Cargo.toml", "[workspace]\nmembers = [\"engine\"]\n"),
                    File::new("engine/Cargo.toml", member),
                ]),
                Tree::default(),
            ]
        },
    },
];

fn root_entries(tree: &Tree, config: &Config) -> Vec<String> {
    let found: BTreeSet<&str> =
        tree.files.iter().map(|file| file.path.split('/').next().unwrap_or("")).collect();
    let root = &config.root;
    let known = |name: &&&str| root.visible.iter().chain(&root.hidden).any(|k| k == **name);
    let extra = found.iter().filter(|name| !known(name));
    let extra = extra.map(|name| format!("{name}: has no place at the root"));
    let missing = root.visible.iter().filter(|name| !found.contains(name.as_str()));
    extra.chain(missing.map(|name| format!("{name}: missing at the root"))).collect()
}

fn weight(tree: &Tree, config: &Config) -> Vec<String> {
    let mut findings = Vec::new();
    for weight in &config.weight {
        let bytes: u64 = tree.under(&weight.folder).map(|file| file.bytes).sum();
        if bytes > weight.megabytes * 1_000_000 {
            findings.push(format!(
                "'{}': {bytes} bytes, at most {} MB: {}",
                weight.folder, weight.megabytes, weight.why
            ));
        }
    }
    findings
}

fn forbidden_words(tree: &Tree, config: &Config) -> Vec<String> {
    let mut findings = Vec::new();
    for entry in &config.forbidden {
        let judged = |file: &&File| !entry.outside.iter().any(|o| file.path.starts_with(o));
        for file in tree.files.iter().filter(judged) {
            for (number, line) in (1..).zip(file.text.lines()) {
                for word in entry.words.iter().filter(|word| line.contains(*word)) {
                    let place = format!("{}:{number}", file.path);
                    findings.push(format!("{place}: '{word}': {}", entry.why));
                }
            }
        }
    }
    findings
}

/// Workflows run our scripts, so that everything they do can be done locally, with actions whose
/// code cannot change underneath and no more rights than they name.
fn pinned_actions(tree: &Tree, _: &Config) -> Vec<String> {
    let mut findings = Vec::new();
    let flows: Vec<&File> = tree.under(".github/workflows/").collect();
    if flows.is_empty() {
        return vec![".github/workflows: empty".into()];
    }
    for file in flows {
        if !file.text.lines().any(|line| line.starts_with("permissions:")) {
            findings.push(format!("{}: names no permissions", file.path));
        }
        if !file.text.contains("run: ci/") {
            findings.push(format!("{}: runs none of our scripts", file.path));
        }
        for (number, line) in (1..).zip(file.text.lines()) {
            let Some((_, action)) = line.split_once("uses: ") else { continue };
            let commit = action.split('@').nth(1).and_then(|rest| rest.split(' ').next());
            let hex = |commit: &str| commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !commit.is_some_and(|commit| commit.len() == 40 && hex(commit)) {
                findings.push(format!("{}:{number}: not pinned to a commit: {action}", file.path));
            }
        }
    }
    findings
}

/// Every dependency is declared once, in the workspace, with what it replaces; members only refer.
fn dependency_reasons(tree: &Tree, _: &Config) -> Vec<String> {
    let Some(workspace) = tree.get("Cargo.toml") else {
        return vec!["Cargo.toml: missing".into()];
    };
    let mut findings = Vec::new();
    let members: Vec<String> = match workspace.text.parse::<toml::Table>() {
        Ok(table) => member_manifests(&table),
        Err(e) => return vec![format!("Cargo.toml: {e}")],
    };
    for (path, number, line) in dependency_lines(workspace) {
        let own = line.contains("path = ");
        if !own && !line.contains('#') {
            findings.push(format!("{path}:{number}: no reason: {line}"));
        }
    }
    for manifest in members.iter().filter_map(|path| tree.get(path)) {
        for (path, number, line) in dependency_lines(manifest) {
            if !line.contains("workspace = true") {
                findings.push(format!("{path}:{number}: not from the workspace: {line}"));
            }
        }
    }
    findings
}

fn member_manifests(workspace: &toml::Table) -> Vec<String> {
    let members = workspace.get("workspace").and_then(|w| w.get("members"));
    let members = members.and_then(|m| m.as_array());
    let names = members.into_iter().flatten().filter_map(|m| m.as_str());
    names.map(|name| format!("{name}/Cargo.toml")).collect()
}

/// Lines of a manifest that declare a dependency, with their numbers. A dependency with a table of
/// its own counts as its header line.
fn dependency_lines(manifest: &File) -> Vec<(&str, usize, &str)> {
    let mut inside = false;
    let mut found = Vec::new();
    for (number, line) in (1..).zip(manifest.text.lines()) {
        if line.starts_with('[') {
            let header = line.trim_start_matches('[').split(']').next().unwrap_or("");
            inside = header.ends_with("dependencies");
            if header.contains("dependencies.") {
                found.push((manifest.path.as_str(), number, line));
            }
        } else if inside && line.contains('=') && !line.starts_with('#') {
            found.push((manifest.path.as_str(), number, line));
        }
    }
    found
}
