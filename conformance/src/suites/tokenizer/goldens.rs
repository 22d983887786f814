//! `tokenizer::golden::VOCABULARY::ORACLE` — the ids that llama.cpp, Hugging Face's tokenizers and
//! SentencePiece gave to the same prompts, recorded under `golden/ids`. llama.cpp's column is
//! judged in its profile, the others in the reference profile.

use super::same_ids;
use engine::loader::gguf::Gguf;
use engine::profile::Profile;
use engine::tokenizer::{EncodeOptions, Options, Tokenizer};
use harness::{Case, Failure, Run, roots};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Prompts where an oracle knows something that the GGUF file does not say, or the other way round.
struct Exception {
    file: &'static str,
    oracle: &'static str,
    /// Prompts as `group.name`; each must differ, or the exception is stale.
    prompts: &'static [&'static str],
    id: &'static str,
    why: &'static str,
}

const EXCEPTIONS: &[Exception] = &[Exception {
    file: "phi3",
    oracle: "sentencepiece",
    prompts: &[
        "special.sentence-mark-inside",
        "special.sentence-mark-lines",
        "special.sentence-marks",
        "special.sentence-marks-spaced",
    ],
    id: "phi3-end-mark-is-text",
    why: "the GGUF file and tokenizer.json let any text name </s>; in the model it is control",
}];

pub(super) fn cases() -> Vec<Case> {
    let folder = roots::project().join("golden/ids");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        let missing = format!("{} cannot be read", folder.display());
        return vec![Case::new("tokenizer::golden::files", move |_| Err(missing.as_str().into()))];
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    paths.sort();
    paths.iter().flat_map(|path| cases_of(path)).collect()
}

fn cases_of(path: &Path) -> Vec<Case> {
    let file = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let golden = match Golden::read(path) {
        Ok(golden) => golden,
        Err(e) => {
            let name = format!("tokenizer::golden::{file}::cannot-be-read");
            return vec![Case::new(name, move |_| Err(e.as_str().into()))];
        }
    };
    let golden = std::sync::Arc::new(golden);
    let columns = golden.before.keys().cloned().collect::<Vec<_>>();
    let case = |column: String| {
        let (golden, name) = (std::sync::Arc::clone(&golden), file.clone());
        let case = format!("tokenizer::golden::{file}::{column}");
        Case::new(case, move |run| golden.judge(&name, &column, run)).requirements(["C13", "C15"])
    };
    columns.into_iter().map(case).collect()
}

/// One file of recorded ids.
struct Golden {
    vocabulary: String,
    pre: Option<String>,
    /// By oracle: what it puts before every text.
    before: BTreeMap<String, Vec<u32>>,
    /// By `mode.group.name`, then by oracle.
    lines: BTreeMap<String, Line>,
}

struct Line {
    ids: BTreeMap<String, Vec<u32>>,
    silent: BTreeSet<String>,
}

impl Golden {
    fn read(path: &Path) -> Result<Golden, String> {
        let at = |what: &str| format!("{}: {what}", path.display());
        let text = std::fs::read_to_string(path).map_err(|e| at(&e.to_string()))?;
        let table: toml::Table = text.parse().map_err(|e| at(&format!("{e}")))?;
        let source = table.get("source").and_then(|s| s.as_table()).ok_or(at("no [source]"))?;
        let string = |key: &str| source.get(key).and_then(|s| s.as_str()).map(str::to_owned);
        let mut golden = Golden {
            vocabulary: string("vocabulary").ok_or(at("no vocabulary"))?,
            pre: string("pre"),
            before: BTreeMap::new(),
            lines: BTreeMap::new(),
        };
        for (oracle, column) in source {
            if let Some(before) = column.get("before") {
                golden.before.insert(oracle.clone(), numbers(before).ok_or(at("bad before"))?);
            }
        }
        for mode in ["plain", "special"] {
            for (group, prompts) in table.get(mode).and_then(|t| t.as_table()).into_iter().flatten()
            {
                for (name, line) in prompts.as_table().into_iter().flatten() {
                    let name = format!("{mode}.{group}.{name}");
                    let line = Line::read(line).ok_or(at(&format!("{name} is no line of ids")))?;
                    golden.lines.insert(name, line);
                }
            }
        }
        match golden.lines.len() {
            0..100 => Err(at(&format!("only {} lines", golden.lines.len()))),
            _ => Ok(golden),
        }
    }

    /// What `oracle` answered, or nothing if it was not asked.
    fn wanted(&self, name: &str, oracle: &str) -> Option<&[u32]> {
        let line = self.lines.get(name)?;
        match line.ids.get(oracle) {
            Some(ids) => Some(ids),
            None if line.silent.contains(oracle) => None,
            None => line.ids.get("llama-cpp").map(Vec::as_slice),
        }
    }

    fn tokenizer(&self, oracle: &str) -> Result<Tokenizer, Failure> {
        let profile = match oracle {
            "llama-cpp" => Profile::LlamaCpp,
            _ => Profile::Reference,
        };
        let file = roots::project().join(format!("golden/tokenizers/{}.gguf", self.vocabulary));
        let options = Options { profile, pre: self.pre.clone(), ..Options::default() };
        Ok(Tokenizer::from_metadata(Gguf::open(&file)?.metadata(), &options)?)
    }

    fn judge(&self, file: &str, oracle: &str, run: &mut Run) -> Result<(), Failure> {
        let tokenizer = self.tokenizer(oracle)?;
        let excepted =
            |exception: &&Exception| exception.file == file && exception.oracle == oracle;
        let exceptions: Vec<&Exception> = EXCEPTIONS.iter().filter(excepted).collect();
        let (mut checked, mut failures) = (0, Vec::new());
        for (group, name, text) in prompts()? {
            for mode in ["plain", "special"] {
                let key = format!("{mode}.{group}.{name}");
                // Special tokens change nothing in a prompt that stands under `plain` only.
                let recorded = match self.lines.contains_key(&key) {
                    true => key.clone(),
                    false => format!("plain.{group}.{name}"),
                };
                let Some(want) = self.wanted(&recorded, oracle) else { continue };
                let outcome = self.compare(&tokenizer, oracle, mode, &text, want);
                checked += 1;
                let prompt = format!("{group}.{name}");
                let exception = exceptions.iter().find(|e| e.prompts.contains(&prompt.as_str()));
                match (outcome, exception) {
                    (Ok(()), None) => {}
                    (Err(_), Some(exception)) => run.deviation(exception.id, exception.why),
                    (Err(failure), None) => failures.push(format!("{key}: {}", failure.text())),
                    (Ok(()), Some(_)) => failures.push(format!("{key}: excepted, but equal")),
                }
            }
        }
        run.figure("prompts", f64::from(checked), "");
        match failures.len() {
            0 if checked >= 100 => Ok(()),
            0 => Err(format!("only {checked} prompts were checked").into()),
            count => {
                let shown = failures[..count.min(12)].join("\n");
                Err(format!("{count} of {checked} prompts differ\n{shown}").into())
            }
        }
    }

    fn compare(
        &self,
        tokenizer: &Tokenizer,
        oracle: &str,
        mode: &str,
        text: &str,
        want: &[u32],
    ) -> Result<(), Failure> {
        let parse_special = mode == "special";
        let options = EncodeOptions { add_special: false, parse_special };
        same_ids(tokenizer, text, &tokenizer.encode(text, options)?, want)?;
        // SentencePiece itself was not asked to add anything.
        if parse_special || oracle == "sentencepiece" {
            return Ok(());
        }
        let whole = [self.before.get(oracle).map_or(&[][..], Vec::as_slice), want].concat();
        same_ids(tokenizer, text, &tokenizer.encode(text, EncodeOptions::TEXT)?, &whole)
    }
}

impl Line {
    fn read(line: &toml::Value) -> Option<Line> {
        let mut ids = BTreeMap::new();
        let mut silent = BTreeSet::new();
        for (key, value) in line.as_table()? {
            match key.as_str() {
                "silent" => {
                    for oracle in value.as_array()? {
                        silent.insert(oracle.as_str()?.to_owned());
                    }
                }
                oracle => {
                    ids.insert(oracle.to_owned(), numbers(value)?);
                }
            }
        }
        Some(Line { ids, silent })
    }
}

fn numbers(value: &toml::Value) -> Option<Vec<u32>> {
    let number = |value: &toml::Value| u32::try_from(value.as_integer()?).ok();
    value.as_array()?.iter().map(number).collect()
}

/// (group, name, text) of every prompt.
fn prompts() -> Result<Vec<(String, String, String)>, Failure> {
    let path = roots::project().join("golden/inputs/prompts.toml");
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let table: toml::Table = text.parse()?;
    let mut prompts = Vec::new();
    for (group, named) in table {
        for (name, text) in named.as_table().into_iter().flatten() {
            let repeated = || {
                let times = usize::try_from(text.get("times")?.as_integer()?).ok()?;
                Some(text.get("repeat")?.as_str()?.repeat(times))
            };
            let text = text.as_str().map(str::to_owned).or_else(repeated);
            let text = text.ok_or_else(|| format!("prompt {group}.{name} is no text"))?;
            prompts.push((group.clone(), name.clone(), text));
        }
    }
    Ok(prompts)
}
