//! `haiku::MODEL::` — whole conversations with the small models, judged by what they say: three
//! lines of five, seven and five syllables on the word that was asked for. A chain of tokens that
//! long survives no mistake anywhere: tokenizer, template, forward pass, cache, sampler and stop
//! tokens all have a part in it.

use crate::subject::fixtures;
use harness::{Case, Failure, Run};
use serde_json::Value;
use std::ffi::OsString;
use std::path::Path;

/// One and two syllables, with and without a silent `e`.
const TOPICS: [&str; 4] = ["rain", "summer", "sparrow", "dusk"];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![Case::new("haiku::counts-syllables", |_| counts())];
    for (model, path) in fixtures() {
        for topic in TOPICS {
            let (name, path) = (format!("haiku::{model}::{topic}"), path.clone());
            cases.push(Case::new(name, move |_| form(&path, topic)));
        }
        let name = format!("haiku::{model}::seeds");
        cases.push(Case::new(name, move |_| seeds(&path)));
    }
    cases
}

/// What a model answers, to its end.
fn ask(path: &Path, topic: &str, sampling: &[&str]) -> Result<String, Failure> {
    match said(path, topic, sampling)? {
        (text, true) => Ok(text),
        (text, false) => Err(format!("an answer without an end: {text:?}").into()),
    }
}

/// What a model says, and whether it came to an end; GPT-2 has no chat template, and was taught
/// that an empty line follows a request.
fn said(path: &Path, topic: &str, sampling: &[&str]) -> Result<(String, bool), Failure> {
    let file = engine::loader::Gguf::open(path)?;
    let request = format!("Write a haiku about {topic}.");
    let mut line = vec!["worker-orcd", "run"];
    let (path, plain) = (path.to_string_lossy(), format!("{request}\n\n"));
    line.extend([&*path, "--json", "-n", "160"]);
    match file.metadata().contains("tokenizer.chat_template") {
        true => line.extend(["--chat", "--date", "2025-06-30", "-p", &request]),
        false => line.extend(["-p", &plain]),
    }
    line.extend(sampling);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = engine::cli::run(line.iter().map(OsString::from), &mut out, &mut err);
    if code != 0 {
        return Err(format!("{line:?} ended with {code}: {}", String::from_utf8_lossy(&err)).into());
    }
    let made: Value = serde_json::from_slice(&out)?;
    match (made["text"].as_str(), made["finish"].as_str()) {
        (Some(text), Some(finish)) => Ok((text.trim().to_owned(), finish == "stop")),
        _ => Err(format!("no answer: {made}").into()),
    }
}

fn form(path: &Path, topic: &str) -> Result<(), Failure> {
    is_haiku(&ask(path, topic, &["--temp", "0"])?, topic)
}

/// Three lines, their syllables, and the word that was asked for.
fn is_haiku(text: &str, topic: &str) -> Result<(), Failure> {
    let counts: Vec<usize> =
        text.lines().map(|line| line.split_whitespace().map(syllables).sum()).collect();
    if counts != [5, 7, 5] {
        return Err(format!("{counts:?} syllables, must be 5, 7, 5: {text:?}").into());
    }
    let mut words = text.split(|c: char| !c.is_alphabetic());
    match words.any(|word| word.eq_ignore_ascii_case(topic)) {
        true => Ok(()),
        false => Err(format!("not a word of {topic}: {text:?}").into()),
    }
}

/// Every run of vowels is a syllable; a silent `e` at the end is none, `le` behind a consonant is
/// one. The models' language has only words for which that is true.
fn syllables(word: &str) -> usize {
    let letters: Vec<char> =
        word.chars().filter(|c| c.is_alphabetic()).map(|c| c.to_ascii_lowercase()).collect();
    let vowel = |at: usize| "aeiouy".contains(letters[at]);
    let starts = |at: &usize| vowel(*at) && (*at == 0 || !vowel(at - 1));
    let runs = (0..letters.len()).filter(starts).count();
    let silent = match letters[..] {
        [.., before, 'l', 'e'] if !"aeiouy".contains(before) => false,
        [.., before, 'e'] => !"aeiouy".contains(before),
        _ => false,
    };
    (runs - usize::from(silent && runs > 0)).max(1)
}

fn counts() -> Result<(), Failure> {
    let words = [
        ("rain", 1),
        ("ice", 1),
        ("the", 1),
        ("bridge", 1),
        ("owl", 1),
        ("stone", 1),
        ("candle", 2),
        ("pebble", 2),
        ("lighthouse", 2),
        ("Autumn,", 2),
        ("village", 2),
        ("early", 2),
        ("through", 1),
        ("returns", 2),
        ("again", 2),
        ("returned", 3),
    ];
    for (word, want) in words {
        let found = syllables(word);
        if found != want {
            return Err(format!("{word}: {found} syllables, must be {want}").into());
        }
    }
    let right = "rain on the village\nthe golden lantern whispers\nhere the chimney turns";
    is_haiku(right, "rain")?;
    let wrong = [
        (right.replace("golden ", ""), "rain"),
        (right.replace('\n', " "), "rain"),
        (format!("{right}\nrain"), "rain"),
        (right.to_owned(), "snow"),
        (right.to_owned(), "ain"),
    ];
    match wrong.iter().find(|(text, topic)| is_haiku(text, topic).is_ok()) {
        None => Ok(()),
        Some(pair) => Err(format!("{pair:?} is taken for a haiku").into()),
    }
}

/// A model that nobody taught the form must say something of the topic, and by its seed alone; how
/// many of its poems keep the form is told, not asked.
pub(super) fn of_any(path: &Path, run: &mut Run) -> Result<(), Failure> {
    let mut kept = 0;
    for topic in TOPICS {
        let (text, _) = said(path, topic, &["--temp", "0"])?;
        if text.is_empty() {
            return Err(format!("nothing to say of {topic}").into());
        }
        kept += usize::from(is_haiku(&text, topic).is_ok());
    }
    run.figure("poems in form", kept as f64, "of 4");
    one_poem_a_seed(|seed| Ok(said(path, "rain", &["--temp", "1", "--seed", seed])?.0))
}

fn seeds(path: &Path) -> Result<(), Failure> {
    one_poem_a_seed(|seed| ask(path, "rain", &["--temp", "1", "--seed", seed]))
}

/// The same seed writes the same poem; among other seeds there are other poems.
fn one_poem_a_seed(with: impl Fn(&str) -> Result<String, Failure>) -> Result<(), Failure> {
    let first = with("1")?;
    if with("1")? != first {
        return Err("the same seed wrote another poem".into());
    }
    match with("2")? != first || with("3")? != first {
        true => Ok(()),
        false => Err(format!("three seeds, one poem: {first:?}").into()),
    }
}
