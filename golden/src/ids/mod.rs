//! Records which ids the oracles give to the prompts, one file per vocabulary and pre-tokeniser.
//! Knows which vocabularies are asked; `prompts` knows the texts, `table` the file.

mod prompts;
mod table;

use crate::area::Recording;
use crate::digest::sha256;
use crate::llama::Model;
use crate::store::root;
use crate::{Result, ggml, oracle};
use prompts::Prompts;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use table::{Column, Table};

const SCRIPTS: [&str; 2] = ["tokenize_hf.py", "pretokenizers.py"];

/// Vocabularies asked as they are; `true` where SentencePiece itself can be asked too.
const FAMILIES: [(&str, bool); 6] = [
    ("gpt2", false),
    ("harmony", false),
    ("llama", true),
    ("llama3", false),
    ("phi3", true),
    ("qwen2", false),
];

/// Pre-tokenisers asked over the vocabulary `crossing`, each with others that must answer alike.
const PRE: [(&str, &[&str]); 12] = [
    ("command-r", &[]),
    ("deepseek-coder", &[]),
    ("deepseek-llm", &[]),
    ("default", &[]),
    ("falcon", &[]),
    ("gpt-2", &["phi-2"]),
    ("gpt-4o", &[]),
    ("llama-bpe", &[]),
    ("mpt", &[]),
    ("qwen2", &[]),
    ("qwen35", &[]),
    ("starcoder", &["refact", "smollm"]),
];

pub(crate) fn record() -> Result<Recording> {
    let prompts = Prompts::read()?;
    let mut files = BTreeMap::new();
    for (name, sentencepiece) in FAMILIES {
        let file = root().join(format!("tokenizers/{name}.gguf"));
        let mut columns = ask_scripts(name, None, sentencepiece, &prompts)?;
        columns.insert("llama-cpp".into(), ask_llama(&file, &prompts)?);
        let table = table(name, None, &[], columns)?;
        files.insert(format!("ids/{name}.toml"), table.text(&prompts).into_bytes());
    }
    // Special tokens and long runs ask nothing of a pre-tokeniser that the families do not.
    let prompts = prompts.without(&["special", "long"]);
    for (pre, also) in PRE {
        let columns = ask_crossing(pre, &prompts)?;
        for alias in also {
            if ask_crossing(alias, &prompts)? != columns {
                return Err(format!("{alias} does not tokenise as {pre}").into());
            }
        }
        let table = table("crossing", Some(pre), also, columns)?;
        files.insert(format!("ids/crossing.{pre}.toml"), table.text(&prompts).into_bytes());
    }
    let mut inputs = oracle::inputs(&SCRIPTS);
    inputs.push(prompts::FILE.into());
    Ok(Recording { provenance: ggml::provenance(), inputs, files })
}

/// The table of a vocabulary that we do not own, for reading outside the repository.
pub(crate) fn foreign(vocabulary: &Path) -> Result<String> {
    let prompts = Prompts::read()?;
    let columns = BTreeMap::from([("llama-cpp".into(), ask_llama(vocabulary, &prompts)?)]);
    let name = vocabulary.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let digest = sha256(&fs::read(vocabulary)?);
    Ok(Table { vocabulary: name, digest, pre: None, also: vec![], columns }.text(&prompts))
}

fn table(
    name: &str,
    pre: Option<&str>,
    also: &[&str],
    columns: BTreeMap<String, Column>,
) -> Result<Table> {
    let also = also.iter().map(|alias| alias.to_string()).collect();
    let digest = sha256(&fs::read(root().join(format!("tokenizers/{name}.gguf")))?);
    Ok(Table { vocabulary: name.into(), digest, pre: pre.map(str::to_string), also, columns })
}

fn ask_crossing(pre: &str, prompts: &Prompts) -> Result<BTreeMap<String, Column>> {
    let mut columns = ask_scripts("crossing", Some(pre), false, prompts)?;
    let whole = fs::read(root().join("tokenizers/crossing.gguf"))?;
    let named = format!("golden-{pre}-{}.gguf", std::process::id());
    let file = std::env::temp_dir().join(named);
    fs::write(&file, with_pre(&whole, pre)?)?;
    let answer = ask_llama(&file, prompts);
    fs::remove_file(&file)?;
    columns.insert("llama-cpp".into(), answer?);
    Ok(columns)
}

/// The same vocabulary-only file under another pre-tokeniser: a key, its type (8, a string), its
/// length and its text follow one another, and no tensor data follows that could move.
fn with_pre(file: &[u8], pre: &str) -> Result<Vec<u8>> {
    let key = b"tokenizer.ggml.pre\x08\0\0\0";
    let found = file.windows(key.len()).position(|window| window == key);
    let start = found.ok_or("no tokenizer.ggml.pre in the vocabulary")? + key.len();
    let (head, rest) = file.split_at(start);
    let (length, rest) = rest.split_first_chunk().ok_or("cut off")?;
    let old = usize::try_from(u64::from_le_bytes(*length))?;
    let rest = rest.get(old..).ok_or("cut off")?;
    Ok([head, &(pre.len() as u64).to_le_bytes()[..], pre.as_bytes(), rest].concat())
}

fn ask_llama(file: &Path, prompts: &Prompts) -> Result<Column> {
    let vocabulary = Model::vocabulary(file)?;
    let mut column = Column { oracle: ggml::provenance()["oracle"].clone(), ..Column::default() };
    column.before = vocabulary.tokenize("", true, true)?;
    for (name, text) in prompts.named() {
        let special = vocabulary.tokenize(&text, false, true)?;
        if vocabulary.tokenize(&text, true, true)? != [&column.before[..], &special].concat() {
            return Err(format!("{name}: ids are added otherwise than in front").into());
        }
        column.plain.insert(name.clone(), vocabulary.tokenize(&text, false, false)?);
        column.special.insert(name, special);
    }
    Ok(column)
}

fn ask_scripts(
    name: &str,
    pre: Option<&str>,
    sentencepiece: bool,
    prompts: &Prompts,
) -> Result<BTreeMap<String, Column>> {
    let vocabulary = format!("tokenizers/{name}.json");
    let mut arguments = vec![vocabulary.as_str()];
    arguments.extend(pre.iter().flat_map(|pre| ["--pre", pre]));
    if sentencepiece {
        arguments.extend(["--model", "tokenizers/spm.model"]);
    }
    let input = serde_json::to_vec(&prompts.named().collect::<BTreeMap<_, _>>())?;
    let output = oracle::ask(SCRIPTS[0], &arguments, &input)?;
    Ok(serde_json::from_slice(&output)?)
}
