//! `cli::demo::` — every command works without a model, on the one that is part of the program, and
//! says so.

use super::{call, ids};
use engine::demo;
use harness::{Case, Failure, roots};
use std::path::Path;

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = LINES
        .iter()
        .map(|line| {
            let name = format!("cli::demo::{}", line[0]);
            Case::new(name, move |_| says_so(line))
        })
        .collect();
    cases.push(Case::new("cli::demo::is-the-fixture", |_| is_the_fixture()));
    cases.push(Case::new("cli::demo::answers", |_| answers()));
    cases
}

/// `OUT` stands for a file in a folder of its own, `TEXT` for a file with a text.
const LINES: &[&[&str]] = &[
    &["inspect"],
    &["run", "-p", "The rain", "-n", "4"],
    &["tokenize", "the rain"],
    &["detokenize", "--ids", "40,41"],
    &["logits", "--tokens", "1,2", "--out", "OUT"],
    &["trace", "--tokens", "1,2", "--taps", "^l_out-0$", "--out", "OUT"],
    &["perplexity", "-f", "TEXT", "-c", "16"],
    &["bench", "-p", "4", "-n", "2", "-r", "1"],
];

fn says_so(line: &[&str]) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(at("text"), "The rain falls on the hills. ".repeat(20))?;
    let word = |word: &&str| match *word {
        "OUT" => at("out"),
        "TEXT" => at("text"),
        word => word.to_owned(),
    };
    let arguments: Vec<String> = line.iter().map(word).collect();
    let ended = call(&arguments)?.fine()?;
    let said = format!("worker-orcd: no MODEL was named, so this is {}\n", demo::NAME);
    match ended.err.starts_with(&said) && !ended.out.is_empty() {
        true => Ok(()),
        false => Err(format!("{ended:?}, must say {said:?}").into()),
    }
}

fn is_the_fixture() -> Result<(), Failure> {
    let path = roots::project().join("golden/models/gpt-oss.gguf");
    let (file, built_in) = (std::fs::read(&path)?, demo::open()?);
    let named = Path::new(demo::NAME);
    let [part] = built_in.parts() else { return Err("it has several parts".into()) };
    match part.bytes() == file && part.path() == named {
        true => Ok(()),
        false => Err("what was built in is another file: build again".into()),
    }
}

/// A whole conversation in gpt-oss's frame: what was thought and what was said come apart, and
/// nothing of the frame is shown.
fn answers() -> Result<(), Failure> {
    let line = ["run", "--chat", "--date", "2025-06-30", "--temp", "0", "--json"];
    let made = call(&[&line[..], &["-p", "Write a haiku about rain."]].concat())?.json()?;
    let said = |key: &str| made[key].as_str().unwrap_or_default().to_owned();
    let (text, thinking) = (said("text"), said("thinking"));
    let framed = ["<|", "analysis", "final", "assistant"].iter().any(|part| text.contains(part));
    if text.trim().is_empty() || thinking.trim().is_empty() || framed {
        return Err(format!("said {text:?}, thought {thinking:?}: {made}").into());
    }
    match made["finish"] == "stop" && ids(&made["ids"])?.len() > 10 {
        true => Ok(()),
        false => Err(format!("{made}").into()),
    }
}
