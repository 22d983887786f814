//! Rules about single sources: length, width, functions, openings, `unsafe`, what may panic.

use super::Rule;
use super::config::Config;
use super::mask::mask;
use super::tree::{File, Tree};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "file-length",
        check: file_length,
        broken: |config| {
            let lines = config.limits.file_lines + 1;
            vec![one("engine/src/long.rs", "//! Long.\n".repeat(lines))]
        },
    },
    Rule {
        name: "median-file-length",
        check: median_file_length,
        broken: |config| {
            let text = "//! Long.\n".repeat(config.limits.median_lines + 1);
            let names = ["a.rs", "b.rs", "c.rs"];
            let mut files: Vec<File> = names.iter().map(|n| File::new(n, &text)).collect();
            files.push(File::new("d.rs", "//! Short.\n"));
            vec![Tree::of(files)]
        },
    },
    Rule {
        name: "line-width",
        check: line_width,
        broken: |config| {
            let comment = format!("// {}\n", "x".repeat(config.limits.line_columns));
            vec![
                one("engine/src/wide.rs", comment.clone()),
                one("engine/kernels/wide.cu", comment.clone()),
                one("ci/wide", format!("#!/usr/bin/env bash\n{comment}")),
            ]
        },
    },
    Rule {
        name: "function-length",
        check: function_length,
        broken: |config| {
            let body = "    step();\n".repeat(config.limits.function_lines);
            vec![
                one("a.rs", format!("pub fn long(\n) {{\n{body}}}\n")),
                one("a.rs", format!("impl A {{ async fn long() {{\n{body}}} }}\n")),
                one("a.cu", format!("__global__ void long() {{\n{body}}}\n")),
                one("a.sh", format!("long() {{\n{body}}}\n")),
                one("a.py", format!("def long():\n{body}x = 1\n")),
            ]
        },
    },
    Rule {
        name: "module-opening",
        check: module_opening,
        broken: |_| {
            vec![
                one("engine/src/bare.rs", "use std::fmt;\n"),
                one("engine/src/bare.rs", "// not a module comment\nuse std::fmt;\n"),
                one("engine/kernels/bare.cu", "#include \"common.cuh\"\n"),
                one("ci/bare.sh", "#!/usr/bin/env bash\nset -e\n"),
                one("ci/bare.py", "#!/usr/bin/env python3\nimport sys\n"),
            ]
        },
    },
    Rule {
        name: "unsafe-places",
        check: unsafe_places,
        broken: |config| {
            let block = "fn f() {\n    // SAFETY: it is.\n    unsafe { g() }\n}\n";
            let allowed = config.unsafe_code.first().map(|place| place.path.clone());
            let bare = "fn f() {\n    unsafe { g() }\n}\n";
            vec![
                one("engine/src/chat.rs", block),
                one(&allowed.unwrap_or_default(), bare),
                Tree::default(), // every allowed place is stale here
            ]
        },
    },
    Rule {
        name: "no-panic",
        check: no_panic,
        broken: |config| {
            let folder = &config.no_panic.folder;
            let broken = |token| one(&format!("{folder}a.rs"), format!("fn f() {{ x{token} }}\n"));
            config.no_panic.tokens.iter().map(broken).collect()
        },
    },
];

fn one(path: &str, text: impl Into<String>) -> Tree {
    Tree::of(vec![File::new(path, text)])
}

fn sources<'a>(tree: &'a Tree, config: &'a Config) -> impl Iterator<Item = &'a File> {
    let authored = |file: &&File| config.sources.iter().any(|s| s == file.language());
    tree.files.iter().filter(authored)
}

fn file_length(tree: &Tree, config: &Config) -> Vec<String> {
    let limit = config.limits.file_lines;
    sources(tree, config)
        .map(|file| (file, file.text.lines().count()))
        .filter(|(_, lines)| *lines > limit)
        .map(|(file, lines)| format!("{}: {lines} lines, at most {limit}", file.path))
        .collect()
}

fn median_file_length(tree: &Tree, config: &Config) -> Vec<String> {
    let mut lengths: Vec<usize> = sources(tree, config)
        .filter(|file| file.language() == "rs")
        .map(|file| file.text.lines().count())
        .collect();
    lengths.sort_unstable();
    let limit = config.limits.median_lines;
    match lengths.get(lengths.len() / 2) {
        Some(median) if *median > limit => {
            vec![format!("median of Rust files: {median} lines, at most {limit}")]
        }
        _ => Vec::new(),
    }
}

fn line_width(tree: &Tree, config: &Config) -> Vec<String> {
    let limit = config.limits.line_columns;
    let mut findings = Vec::new();
    for file in sources(tree, config) {
        for (number, line) in (1..).zip(file.text.lines()) {
            let columns = line.chars().count();
            if columns > limit {
                let place = format!("{}:{number}", file.path);
                findings.push(format!("{place}: {columns} columns, at most {limit}"));
            }
        }
    }
    findings
}

fn function_length(tree: &Tree, config: &Config) -> Vec<String> {
    let limit = config.limits.function_lines;
    let mut findings = Vec::new();
    for file in sources(tree, config) {
        for (first, length) in functions(file) {
            if length > limit {
                let place = format!("{}:{first}", file.path);
                findings.push(format!("{place}: a function of {length} lines, at most {limit}"));
            }
        }
    }
    findings
}

/// First line and length of every function of a file.
fn functions(file: &File) -> Vec<(usize, usize)> {
    match file.language() {
        "py" => indented_functions(&file.text),
        "sh" => braced_functions(&file.text, |line| line.trim_end().ends_with("() {")),
        "rs" => braced_functions(&mask(&file.text), |line| {
            line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "fn")
        }),
        // C-like: a definition starts in the first column and has a parameter list.
        "cu" | "cuh" => braced_functions(&mask(&file.text), |line| {
            line.starts_with(|c: char| c.is_alphabetic() || c == '_') && line.contains('(')
        }),
        _ => Vec::new(),
    }
}

/// Functions whose body is the first brace pair after a line that `opens`.
fn braced_functions(text: &str, opens: impl Fn(&str) -> bool) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        if !opens(line) {
            continue;
        }
        let mut depth = 0i32;
        'body: for (offset, line) in lines[first..].iter().enumerate() {
            for character in line.chars() {
                match character {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    // A declaration, or a `fn` pointer type: no body.
                    ';' if depth == 0 => break 'body,
                    _ => continue,
                }
                if depth == 0 && character == '}' {
                    found.push((first + 1, offset + 1));
                    break 'body;
                }
            }
        }
    }
    found
}

fn indented_functions(text: &str) -> Vec<(usize, usize)> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        let head = line.trim_start();
        if !head.starts_with("def ") && !head.starts_with("async def ") {
            continue;
        }
        let inside = |l: &&&str| l.trim().is_empty() || indent(l) > indent(line);
        found.push((first + 1, 1 + lines[first + 1..].iter().take_while(inside).count()));
    }
    found
}

fn module_opening(tree: &Tree, config: &Config) -> Vec<String> {
    let mut findings = Vec::new();
    for file in sources(tree, config) {
        let (skipped, openings): (&str, &[&str]) = match file.language() {
            "rs" => ("#![", &["//!"]),
            "cu" | "cuh" => ("#pragma once", &["//"]),
            "sh" => ("#!", &["#"]),
            "py" => ("#!", &["#", "\"\"\""]),
            _ => continue,
        };
        let mut lines = file.text.lines();
        let first = lines.find(|line| !line.starts_with(skipped) && !line.trim().is_empty());
        if !openings.iter().any(|o| first.is_some_and(|line| line.starts_with(o))) {
            findings.push(format!(
                "{}: opens without saying what it does (wanted {openings:?})",
                file.path
            ));
        }
    }
    findings
}

fn unsafe_places(tree: &Tree, config: &Config) -> Vec<String> {
    let mut findings = Vec::new();
    let mut used = vec![false; config.unsafe_code.len()];
    for file in sources(tree, config).filter(|file| file.language() == "rs") {
        let lines: Vec<&str> = file.text.lines().collect();
        for (index, line) in mask(&file.text).lines().enumerate() {
            let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            if !words.any(|word| word == "unsafe") {
                continue;
            }
            let allowed = |path: &str| file.path.starts_with(path);
            match config.unsafe_code.iter().position(|place| allowed(&place.path)) {
                Some(place) => used[place] = true,
                None => findings.push(format!(
                    "{}:{}: unsafe, but {} does not allow it here",
                    file.path,
                    index + 1,
                    super::config::PATH
                )),
            }
            // A C signature promises nothing by itself; its definition and its calls do.
            if !line.contains("unsafe extern") && !explained(&lines[..=index]) {
                findings.push(format!("{}:{}: unsafe without SAFETY", file.path, index + 1));
            }
        }
    }
    for (place, _) in config.unsafe_code.iter().zip(used).filter(|(_, used)| !used) {
        findings.push(format!("{}: allowed to be unsafe ({}), but is not", place.path, place.why));
    }
    findings
}

/// Whether the last of `lines` says why it is sound, or the comment right above it does.
fn explained(lines: &[&str]) -> bool {
    let says = |line: &str| line.contains("SAFETY:") || line.contains("# Safety");
    let attached = |line: &&&str| {
        let line = line.trim_start();
        line.starts_with("//") || line.starts_with("#[") || line.ends_with('=')
    };
    let mut upwards = lines.iter().rev();
    upwards.next().is_some_and(|line| says(line))
        || upwards.take_while(attached).any(|line| says(line))
}

fn no_panic(tree: &Tree, config: &Config) -> Vec<String> {
    let mut findings = Vec::new();
    for file in tree.under(&config.no_panic.folder) {
        if file.language() != "rs" {
            continue;
        }
        for (number, line) in (1..).zip(mask(&file.text).lines()) {
            for token in &config.no_panic.tokens {
                if line.contains(token.as_str()) {
                    let place = format!("{}:{number}", file.path);
                    findings.push(format!("{place}: `{token}` can end the process"));
                }
            }
        }
    }
    findings
}
