//! llama.cpp's own vocabularies with its recorded ids: every `NAME.gguf.inp`/`.out` pair found in
//! `ORCD_LLAMA_CPP_MODELS`. Without that folder one case stands for all of them, and is ignored.

use engine::loader::gguf::Gguf;
use engine::profile::Profile;
use engine::tokenizer::{EncodeOptions, Options, Tokenizer};
use harness::{Case, Failure, environment};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

const VARIABLE: &str = "ORCD_LLAMA_CPP_MODELS";
const SEPARATOR: &str = "\n__ggml_vocab_test__\n";

pub(super) fn cases() -> Vec<Case> {
    let Some(folder) = environment::path(VARIABLE) else {
        let absent = |_: &mut harness::Run| Ok(());
        return vec![Case::new("tokenizer::llama-cpp::pairs", absent).needs("llama-cpp-models")];
    };
    let pairs = pairs(&folder);
    if pairs.is_empty() {
        let nothing = format!("{VARIABLE}: no .gguf with .inp and .out in {}", folder.display());
        return vec![Case::new("tokenizer::llama-cpp::pairs", move |_| {
            Err(nothing.as_str().into())
        })];
    }
    pairs.into_iter().flat_map(cases_of).collect()
}

/// A vocabulary and its pair, by file name without `ggml-vocab-` and `.gguf`.
struct Pair {
    name: String,
    vocabulary: PathBuf,
}

fn pairs(folder: &Path) -> Vec<Pair> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut vocabularies: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "gguf"))
        .filter(|path| ["inp", "out"].iter().all(|ending| beside(path, ending).is_file()))
        .collect();
    vocabularies.sort();
    let name = |path: &Path| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        stem.trim_start_matches("ggml-vocab-").to_owned()
    };
    vocabularies
        .into_iter()
        .map(|vocabulary| Pair { name: name(&vocabulary), vocabulary })
        .collect()
}

fn beside(vocabulary: &Path, ending: &str) -> PathBuf {
    let mut name = vocabulary.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

fn cases_of(pair: Pair) -> Vec<Case> {
    let vocabulary = Arc::new(Vocabulary { path: pair.vocabulary, loaded: OnceLock::new() });
    let read = |ending: &str| {
        let path = beside(&vocabulary.path, ending);
        std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))
    };
    let (texts, ids) = match (read("inp"), read("out")) {
        (Ok(texts), Ok(ids)) => (texts, ids),
        (Err(e), _) | (_, Err(e)) => {
            let name = format!("tokenizer::llama-cpp::{}::files", pair.name);
            return vec![Case::new(name, move |_| Err(e.as_str().into()))];
        }
    };
    // The separator ends each text, the last one too.
    let texts = texts.strip_suffix(SEPARATOR).unwrap_or(&texts);
    let texts: Vec<String> = texts.split(SEPARATOR).map(str::to_owned).collect();
    let ids: Vec<Result<Vec<u32>, String>> = ids.lines().map(parse_ids).collect();
    let counts = (texts.len(), ids.len());
    let count_name = format!("tokenizer::llama-cpp::{}::as-many-lines-as-texts", pair.name);
    let mut cases = vec![Case::new(count_name, move |_| match counts {
        (texts, lines) if texts == lines => Ok(()),
        (texts, lines) => Err(format!("{texts} texts, {lines} lines of ids").into()),
    })];
    for (index, (text, want)) in texts.into_iter().zip(ids).enumerate() {
        let name = format!("tokenizer::llama-cpp::{}::text-{index:02}", pair.name);
        let vocabulary = Arc::clone(&vocabulary);
        let case = Case::new(name, move |_| vocabulary.check(&text, want.clone()?));
        cases.push(case.requirements(["C13"]).needs("llama-cpp-models"));
    }
    cases
}

fn parse_ids(line: &str) -> Result<Vec<u32>, String> {
    let parse = |id: &str| id.parse().map_err(|e| format!("{id:?} in {line:?}: {e}"));
    line.split_whitespace().map(parse).collect()
}

/// Loaded once, by the first case that needs it.
struct Vocabulary {
    path: PathBuf,
    loaded: OnceLock<Result<Tokenizer, String>>,
}

impl Vocabulary {
    fn load(&self) -> Result<Tokenizer, String> {
        let options = Options { profile: Profile::LlamaCpp, ..Options::default() };
        let gguf = Gguf::open(&self.path).map_err(|e| e.to_string())?;
        Tokenizer::from_metadata(gguf.metadata(), &options).map_err(|e| e.to_string())
    }

    fn check(&self, text: &str, want: Vec<u32>) -> Result<(), Failure> {
        let tokenizer = self.loaded.get_or_init(|| self.load()).as_ref()?;
        let got = tokenizer.encode(text, EncodeOptions::PLAIN)?;
        super::same_ids(tokenizer, text, &got, &want)
    }
}
