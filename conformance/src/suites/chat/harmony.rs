//! Properties of the harmony parser: whatever the model writes, no text is lost, and it does not
//! matter in which pieces it arrives.

use crate::property;
use crate::suites::vectors::harmony_parse::lossless;
use engine::chat::harmony::Marker;
use engine::chat::harmony::parse::{self, Parser};
use harness::{Case, Failure};
use proptest::prelude::*;

/// Words that make a header, words that break it, and text.
const WORDS: [&str; 22] = [
    "assistant",
    "user",
    "functions.f",
    "analysis",
    "final",
    "commentary",
    " ",
    "\n",
    "to=",
    " to=functions.f ",
    "json",
    " code",
    "??",
    "We should ",
    "{\"a\": 1}",
    "é",
    "<",
    "<|",
    "|>",
    "<|star",
    "analysisWe",
    "日本",
];

fn soup() -> impl Strategy<Value = (bool, Vec<String>)> {
    let marker = prop::sample::select(Marker::ALL.to_vec()).prop_map(|m| m.as_str().to_owned());
    let word = prop::sample::select(WORDS.to_vec()).prop_map(str::to_owned);
    let long = (1usize..80).prop_map(|count| "0123 ".repeat(count));
    let piece = prop_oneof![4 => marker, 6 => word, 1 => long, 1 => "\\PC{0,8}"];
    (any::<bool>(), prop::collection::vec(piece, 0..24))
}

fn parser(from_start: bool) -> Parser {
    if from_start { Parser::from_start() } else { Parser::after_prompt() }
}

fn check((from_start, pieces): &(bool, Vec<String>)) -> Result<(), Failure> {
    let text = pieces.concat();
    let whole = parse::read(parser(*from_start), [text.as_str()]);
    lossless(&text, &whole)?;
    let chars: Vec<String> = text.chars().map(String::from).collect();
    let ways: [Vec<&str>; 2] =
        [pieces.iter().map(String::as_str).collect(), chars.iter().map(String::as_str).collect()];
    for way in ways {
        let parts = parse::read(parser(*from_start), way);
        if parts != whole {
            return Err(format!("in pieces {parts:?}\nbut whole {whole:?}").into());
        }
    }
    Ok(())
}

fn to_vector((from_start, pieces): &(bool, Vec<String>)) -> String {
    format!("text = {:?}\nfrom-start = {from_start}\npart = []\n", pieces.concat())
}

pub(super) fn cases() -> Vec<Case> {
    let name = "property::chat::harmony-loses-nothing";
    vec![property::case_with(name, soup(), to_vector, check).requirements(["C17"])]
}
