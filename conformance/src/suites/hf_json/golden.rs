//! The ids that the `tokenizers` library gave to every prompt, against both codes; and random
//! texts, on which both must agree.

use super::{VOCABULARIES, json_of, open};
use crate::property;
use crate::suites::tokenizer::shapes;
use engine::loader::gguf::Gguf;
use engine::tokenizer::{BackendKind, EncodeOptions, Options, Tokenizer};
use harness::{Case, Failure, Run, roots};
use proptest::prelude::*;

const ORACLE: &str = "hf";
/// Fewer recorded prompts than this, and the recording was not read.
const PROMPTS_MIN: usize = 100;

fn table(path: &str) -> Result<toml::Table, Failure> {
    let path = roots::project().join(path);
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(text.parse()?)
}

fn numbers(value: Option<&toml::Value>) -> Option<Vec<u32>> {
    let number = |value: &toml::Value| u32::try_from(value.as_integer()?).ok();
    value?.as_array()?.iter().map(number).collect()
}

/// What the library answered; a column that is left out of a line answers as llama.cpp's does,
/// unless the line says that the library was not asked.
fn wanted(line: &toml::Value) -> Option<Vec<u32>> {
    let silent = line.get("silent").and_then(|list| list.as_array());
    let asked = !silent.is_some_and(|list| list.iter().any(|name| name.as_str() == Some(ORACLE)));
    numbers(line.get(ORACLE)).or_else(|| numbers(line.get("llama-cpp")).filter(|_| asked))
}

fn prompt(prompts: &toml::Table, group: &str, name: &str) -> Option<String> {
    let prompt = prompts.get(group)?.get(name)?;
    if let Some(text) = prompt.as_str() {
        return Some(text.to_owned());
    }
    let times = usize::try_from(prompt.get("times")?.as_integer()?).ok()?;
    Some(prompt.get("repeat")?.as_str()?.repeat(times))
}

fn judge(vocabulary: &str, foreign: bool, run: &mut Run) -> Result<(), Failure> {
    let tokenizer = open(&json_of(vocabulary)?, foreign)?;
    let recorded = table(&format!("golden/ids/{vocabulary}.toml"))?;
    let prompts = table("golden/inputs/prompts.toml")?;
    let before = recorded.get("source").and_then(|source| source.get(ORACLE));
    let before = numbers(before.and_then(|column| column.get("before"))).ok_or("no `before`")?;
    let (mut checked, mut wrong) = (0, Vec::new());
    for mode in ["plain", "special"] {
        let parse_special = mode == "special";
        for (group, lines) in recorded.get(mode).and_then(|m| m.as_table()).into_iter().flatten() {
            for (name, line) in lines.as_table().into_iter().flatten() {
                let Some(want) = wanted(line) else { continue };
                let text = prompt(&prompts, group, name);
                let text = text.ok_or_else(|| format!("no prompt {group}.{name}"))?;
                let plain = EncodeOptions { add_special: false, parse_special };
                let whole = EncodeOptions { add_special: true, parse_special };
                let got = tokenizer.encode(&text, plain)?;
                let got_whole = tokenizer.encode(&text, whole)?;
                checked += 1;
                // A prompt that brings its own BOS keeps one; the library doubles it.
                let brings = !before.is_empty() && want.starts_with(&before);
                let want_whole = [if brings { &[][..] } else { &before }, &want].concat();
                if got != want || got_whole != want_whole {
                    wrong.push(format!("{mode}.{group}.{name} {text:.60?}: {got:?} want {want:?}"));
                }
            }
        }
    }
    run.figure("prompts", checked as f64, "");
    match wrong.len() {
        0 if checked >= PROMPTS_MIN => Ok(()),
        0 => Err(format!("only {checked} prompts were checked").into()),
        count => {
            let shown = wrong[..count.min(8)].join("\n");
            Err(format!("{count} of {checked} prompts differ\n{shown}").into())
        }
    }
}

/// Text that is likely to meet merges, cuts, bytes and special tokens.
fn texts() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        " the",
        "ing",
        " in",
        "'s",
        "'RE",
        "\n\n",
        "   ",
        "\t",
        "123",
        "4567",
        "日本",
        "é",
        "e\u{301}",
        "<s>",
        "</s>",
        "<|end|>",
        "<|im_start|>",
        "<|endoftext|>",
        "▁",
        " ▁ ",
        "\u{a0}",
        "\r\n",
        "👩‍👩‍👧",
        "ÜBER",
        "приветМир",
        "!?",
        "<0x0A>",
        "नमस्ते",
    ]);
    let piece = prop_oneof![3 => words.prop_map(str::to_owned), 1 => "\\PC{0,6}", 1 => ".{0,4}"];
    let pieces = prop::collection::vec(piece, 0..24);
    prop_oneof![pieces, shapes::texts(16)].prop_map(|pieces| pieces.concat())
}

fn agreement(vocabulary: &'static str) -> Case {
    let codes = std::sync::OnceLock::new();
    let open_all = move || -> Result<[Tokenizer; 3], String> {
        let json = json_of(vocabulary).map_err(|failure| failure.text().to_owned())?;
        let open = |foreign| open(&json, foreign).map_err(|error| error.to_string());
        let gguf = roots::project().join(format!("golden/tokenizers/{vocabulary}.gguf"));
        let gguf = Gguf::open(&gguf)
            .and_then(|file| Tokenizer::from_metadata(file.metadata(), &Options::default()));
        Ok([gguf.map_err(|error| error.to_string())?, open(false)?, open(true)?])
    };
    let check = move |text: &String| -> Result<(), Failure> {
        let [gguf, json, foreign] = codes.get_or_init(open_all).as_ref().map_err(String::clone)?;
        for parse_special in [false, true] {
            let options = EncodeOptions { add_special: false, parse_special };
            let theirs = foreign.encode(text, options)?;
            for (own, name) in [(json, "tokenizer.json"), (gguf, "gguf")] {
                let ids = own.encode(text, options)?;
                if ids != theirs {
                    return Err(
                        format!("{name} {ids:?}\ncrate {theirs:?} ({parse_special})").into()
                    );
                }
                let back = (own.decode_bytes(&ids, true)?, foreign.decode_bytes(&ids, true)?);
                if back.0 != back.1 {
                    return Err(format!("{name}: decoded {:?} and {:?}", back.0, back.1).into());
                }
            }
        }
        Ok(())
    };
    let name = format!("property::tokenizer::hf-json-{vocabulary}-both-codes");
    property::case_with(&name, texts(), |text| format!("text = {text:?}\n"), check)
}

fn chosen(vocabulary: &str, own: BackendKind) -> Result<(), Failure> {
    let json = json_of(vocabulary)?;
    for (foreign, want) in [(false, own), (true, BackendKind::HfForeign)] {
        let info = open(&json, foreign)?.info().clone();
        if info.backend != want || (info.pre.is_none() && want != BackendKind::HfFallback) {
            return Err(format!("{} under {:?}", info.backend.name(), info.pre).into());
        }
    }
    Ok(())
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for vocabulary in VOCABULARIES {
        let kind = match vocabulary {
            "llama" | "phi3" => BackendKind::HfFallback,
            _ => BackendKind::HfBpe,
        };
        for (code, foreign) in [("own", false), ("crate", true)] {
            let name = format!("tokenizer::hf-json::golden::{vocabulary}::{code}");
            let judge = move |run: &mut Run| judge(vocabulary, foreign, run);
            cases.push(Case::new(name, judge).requirements(["C13", "C15", "C16"]));
        }
        let name = format!("tokenizer::hf-json::chosen::{vocabulary}");
        cases.push(Case::new(name, move |_| chosen(vocabulary, kind)));
        cases.push(agreement(vocabulary));
    }
    cases
}
