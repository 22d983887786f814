//! Rules about documents: what README and ARCHITECTURE mention must exist, and what exists must be
//! mentioned. A document that lies is worse than none.

use super::Rule;
use super::config::Config;
use super::tree::{File, Tree};
use std::collections::BTreeSet;

const MAP: &str = "engine/ARCHITECTURE.md";
/// The one place that reads our variables.
const ENVIRONMENT: &str = "harness/src/environment.rs";

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "document-paths",
        check: document_paths,
        broken: |config| {
            let texts = [
                "See [the map](ci/gone.md).\n",
                "See [the map](ci/check.sh#no-such-heading).\n",
                "See `ci/gone.sh`.\n",
                "See `ci/gone.sh:12`.\n",
                "Run:\n\n    ci/gone.sh --all\n",
                "Run:\n\n```\nFOO=1 ./ci/gone.sh\n```\n",
            ];
            let mut broken: Vec<Tree> = texts.iter().map(|t| document(config, t)).collect();
            broken.push(Tree::default());
            broken
        },
    },
    Rule {
        name: "document-commands",
        check: document_commands,
        broken: |config| {
            let texts =
                ["`cargo gone`\n", "    FOO=1 cargo gone --all\n", "`worker-orcd gone X`\n"];
            texts.iter().map(|text| document(config, text)).collect()
        },
    },
    Rule {
        name: "code-map",
        check: code_map,
        broken: |_| {
            let with = |path: &str| {
                Tree::of(vec![
                    File::new(MAP, "`src/lib.rs` `src/quant/`\n"),
                    File::new("engine/src/lib.rs", ""),
                    File::new(path, ""),
                ])
            };
            vec![with("engine/src/hidden/mod.rs"), with("engine/src/hidden.rs"), Tree::default()]
        },
    },
    Rule {
        name: "error-classes",
        check: error_classes,
        broken: |_| {
            let source = "pub enum Class {\n    BadMagic,\n    BadVersion,\n}\n";
            vec![
                Tree::of(vec![
                    File::new("engine/src/error.rs", source),
                    File::new(MAP, "`BadMagic`\n"),
                ]),
                Tree::default(),
            ]
        },
    },
    Rule {
        name: "environment-table",
        check: environment_table,
        broken: |_| {
            let (name, other) = (variable("SECRET"), variable("OTHER"));
            let code = |name: &str| File::new("harness/src/a.rs", format!("var(\"{name}\")\n"));
            let readme = |name: &str| File::new("README.md", format!("| `{name}` | what |\n"));
            let past_the_table = |name: &str| {
                File::new("conformance/src/a.rs", format!("std::env::var_os(\"{name}\")\n"))
            };
            vec![
                Tree::of(vec![code(&name), readme("none")]),
                Tree::of(vec![code(&name), readme(&name), readme(&other)]),
                Tree::of(vec![past_the_table(&name), readme(&name)]),
                Tree::default(),
            ]
        },
    },
];

/// Our own environment variables, spelt so that this file does not mention one.
fn variable(name: &str) -> String {
    format!("{}_{name}", "ORCD")
}

fn document(config: &Config, text: &str) -> Tree {
    let mut files: Vec<File> = vec![File::new("ci/check.sh", "")];
    files.extend(config.documents.files.iter().map(|path| File::new(path, text)));
    Tree::of(files)
}

/// Runs `judge` over every document there must be.
fn each_document(
    tree: &Tree,
    config: &Config,
    judge: impl Fn(&File) -> Vec<String>,
) -> Vec<String> {
    let mut findings = Vec::new();
    for path in &config.documents.files {
        match tree.get(path) {
            Some(document) => findings.extend(judge(document)),
            None => findings.push(format!("{path}: missing")),
        }
    }
    findings
}

fn document_paths(tree: &Tree, config: &Config) -> Vec<String> {
    each_document(tree, config, |document| {
        let folder = document.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let exists = |target: &str| {
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let found = [path.to_owned(), format!("{folder}/{path}")];
            found.iter().any(|path| tree.has(path) && has_heading(tree, path, heading))
        };
        let mut findings = Vec::new();
        for (number, path) in mentioned_paths(document, config) {
            if !exists(&path) {
                findings.push(format!("{}:{number}: no such path: {path}", document.path));
            }
        }
        findings
    })
}

/// Whether the document at `path` has the heading a link names; an empty one is there.
fn has_heading(tree: &Tree, path: &str, anchor: &str) -> bool {
    // GitHub's rule: lower case, spaces become dashes, punctuation goes.
    let slug = |heading: &str| -> String {
        let heading = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        heading.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
    };
    let text = tree.get(path).map_or("", |file| file.text.as_str());
    let mut headings = text.lines().filter(|line| line.starts_with('#'));
    anchor.is_empty() || headings.any(|heading| slug(heading) == anchor)
}

/// Link targets, and every word of code that looks like a path of this project, with line numbers.
fn mentioned_paths(document: &File, config: &Config) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(document.text.lines()) {
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let targets = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
        found.extend(targets.map(|target| (number, target.to_owned())));
    }
    for (number, code) in code(&document.text) {
        let words = code.split_whitespace().filter_map(|word| path_in(word, config));
        found.extend(words.map(|path| (number, path)));
    }
    found
}

/// The path that a word of code spells, up to the first placeholder.
fn path_in(word: &str, config: &Config) -> Option<String> {
    let word = word.trim_matches(|c: char| "\"'(),;".contains(c));
    let word = word.strip_prefix("./").unwrap_or(word);
    let word = match word.split_once(':') {
        Some((path, position)) if position.starts_with(|c: char| c.is_ascii_digit()) => path,
        Some(_) => return None,
        None => word,
    };
    let first = word.split_once('/')?.0;
    let roots = config.root.visible.iter().chain(&config.root.hidden);
    let ours = roots.chain(&config.documents.folders).any(|root| root == first);
    if !ours || word.contains(['{', '*', '$', '<']) {
        return None;
    }
    let placeholder = |part: &&str| {
        let stem = part.split('.').next().unwrap_or("");
        !config.documents.placeholders.iter().any(|p| p == stem)
    };
    let parts: Vec<&str> = word.split('/').take_while(placeholder).collect();
    Some(parts.join("/"))
}

/// Code spans and lines of code blocks, with line numbers.
fn code(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced || line.starts_with("    ") {
            found.push((number, line.trim()));
        } else {
            found.extend(line.split('`').skip(1).step_by(2).map(|span| (number, span)));
        }
    }
    found
}

fn document_commands(tree: &Tree, config: &Config) -> Vec<String> {
    let aliases = tree.get(".cargo/config.toml");
    let aliases = aliases.and_then(|file| file.text.parse::<toml::Table>().ok());
    let aliases = aliases.and_then(|table| table.get("alias")?.as_table().cloned());
    let known_cargo = |name: &str| {
        config.documents.cargo_commands.iter().any(|c| c == name)
            || aliases.as_ref().is_some_and(|table| table.contains_key(name))
    };
    let known_engine = |name: &str| tree.has(&format!("engine/src/cli/{name}.rs"));
    each_document(tree, config, |document| {
        let mut findings = Vec::new();
        for (number, code) in code(&document.text) {
            // Variables may stand before the command.
            let mut words = code.split_whitespace().skip_while(|word| word.contains('='));
            let (program, verb) = (words.next(), words.next().unwrap_or("--help"));
            let known = match program {
                Some("cargo") => known_cargo(verb),
                Some("worker-orcd") => known_engine(verb),
                _ => continue,
            };
            if !known && !verb.starts_with('-') {
                findings.push(format!("{}:{number}: no such command: {code}", document.path));
            }
        }
        findings
    })
}

/// Every entry of `engine/src` is in the code map; `document-paths` checks the other direction.
fn code_map(tree: &Tree, _: &Config) -> Vec<String> {
    let Some(map) = tree.get(MAP) else {
        return vec![format!("{MAP}: missing")];
    };
    let spans: BTreeSet<&str> =
        code(&map.text).into_iter().flat_map(|(_, code)| code.split_whitespace()).collect();
    let entries: BTreeSet<String> = tree
        .under("engine/src/")
        .filter_map(|file| match file.path.strip_prefix("engine/")?.rsplit_once('/')? {
            ("src", name) => Some(format!("src/{name}")),
            (folder, _) => Some(format!("{folder}/")),
        })
        .collect();
    let missing = entries.iter().filter(|entry| !spans.contains(entry.as_str()));
    missing.map(|entry| format!("{MAP}: the code map lacks `{entry}`")).collect()
}

fn error_classes(tree: &Tree, _: &Config) -> Vec<String> {
    let (Some(source), Some(map)) = (tree.get("engine/src/error.rs"), tree.get(MAP)) else {
        return vec![format!("engine/src/error.rs or {MAP}: missing")];
    };
    let body = source.text.split_once("pub enum Class {");
    let body = body.and_then(|(_, rest)| rest.split_once('}'));
    let Some((body, _)) = body else {
        return vec!["engine/src/error.rs: no `pub enum Class`".into()];
    };
    let variants = body.lines().map(|line| line.trim().trim_end_matches(','));
    variants
        .filter(|name| !name.is_empty() && name.chars().all(char::is_alphanumeric))
        .filter(|name| !map.text.contains(&format!("`{name}`")))
        .map(|name| format!("{MAP}: no word about `{name}`"))
        .collect()
}

/// Every variable that code reads is in README's table, and every one there is read by code.
fn environment_table(tree: &Tree, config: &Config) -> Vec<String> {
    let prefix = variable("");
    let names = |text: &str| -> BTreeSet<String> {
        let parts = text.split(prefix.as_str()).skip(1);
        let ends = |c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_';
        let tails = parts.filter_map(|rest| rest.split(ends).next());
        tails.filter(|tail| !tail.is_empty()).map(variable).collect()
    };
    let sources =
        tree.files.iter().filter(|file| config.sources.iter().any(|s| s == file.language()));
    let read: BTreeSet<String> = sources.flat_map(|file| names(&file.text)).collect();
    let readme = tree.files.iter().filter(|file| file.path == "README.md");
    let told: BTreeSet<String> = readme.flat_map(|file| names(&file.text)).collect();
    if read.is_empty() {
        return vec!["no source reads any of our variables: nothing to compare".into()];
    }
    // The engine, which knows nothing of the suite, asks for itself.
    let ours = ["harness/", "conformance/"].into_iter().flat_map(|folder| tree.under(folder));
    let reads = |line: &str| line.contains("env::var") && line.contains(&format!("\"{prefix}"));
    let past = ours
        .filter(|file| file.path != ENVIRONMENT && file.text.lines().any(reads))
        .map(|file| format!("{}: ask {ENVIRONMENT}, where nothing is not set", file.path));
    let silent = read.difference(&told);
    let stale = told.difference(&read);
    silent
        .map(|name| format!("README.md: {name} is read by code but not in the table"))
        .chain(stale.map(|name| format!("README.md: no code reads {name}")))
        .chain(past)
        .collect()
}
