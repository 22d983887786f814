//! `tokenizer::malformed::` — vocabularies that lie, each refused by class, named after the rows of
//! the attack catalogue (V01…V31, X11). A file that a reader built without these checks takes is
//! either a crash or, worse, wrong ids.

use super::toys;
use engine::error::Class;
use engine::loader::gguf::{Array, Metadata, Strings, Value};
use engine::tokenizer::{EncodeOptions, Options, Tokenizer};
use harness::{Case, Failure};
use std::time::Instant;

const TOKENS: &str = "tokenizer.ggml.tokens";
const TYPES: &str = "tokenizer.ggml.token_type";
const SCORES: &str = "tokenizer.ggml.scores";
const MERGES: &str = "tokenizer.ggml.merges";
const MODEL: &str = "tokenizer.ggml.model";
const PRE: &str = "tokenizer.ggml.pre";
const BOS: &str = "tokenizer.ggml.bos_token_id";

/// A row: its id, what is wrong, the class, and the ground with the wrong thing done to it.
type Row = (&'static str, &'static str, Class, fn() -> Metadata);

const ROWS: &[Row] = &[
    ("V01", "tokens-missing", Class::MissingKey, || without(toys::bpe(), TOKENS)),
    ("V02", "tokens-are-numbers", Class::WrongType, || set(toys::bpe(), TOKENS, vec![1_u32])),
    ("V03", "tokens-are-a-string", Class::WrongType, || set(toys::bpe(), TOKENS, "a")),
    ("V04", "no-tokens", Class::BadVocab, no_tokens),
    ("V05", "duplicate-token-bpe", Class::BadVocab, || token(toys::bpe(), 256, "the")),
    ("V05", "duplicate-token-spm", Class::BadVocab, || token(toys::spm(), 261, "he")),
    ("V06", "empty-token-bpe", Class::BadVocab, || token(toys::bpe(), 267, "")),
    ("V06", "empty-token-spm", Class::BadVocab, || token(toys::spm(), 270, "")),
    ("V08", "token-of-16-mib", Class::BadVocab, || token(toys::bpe(), 267, "a".repeat(1 << 24))),
    ("V09", "token-with-nul", Class::BadVocab, || token(toys::bpe(), 267, "a\0b")),
    ("V10", "types-too-few", Class::BadVocab, || set(toys::bpe(), TYPES, vec![1_i32; 5])),
    ("V11", "type-99", Class::BadVocab, || one_type(99)),
    ("V12", "type-least", Class::BadVocab, || one_type(i32::MIN)),
    ("V13", "types-are-floats", Class::WrongType, || set(toys::bpe(), TYPES, vec![1_f32; 270])),
    ("V14", "scores-too-few", Class::BadVocab, || set(toys::spm(), SCORES, vec![0_f32; 5])),
    ("V15", "scores-are-strings", Class::WrongType, || set(toys::spm(), SCORES, strings(&["a"]))),
    ("V16", "score-nan", Class::BadVocab, score_nan),
    ("V17", "merges-missing", Class::MissingKey, || without(toys::bpe(), MERGES)),
    ("V18", "merge-without-space", Class::BadVocab, || merge("he")),
    ("V19", "merge-with-two-spaces", Class::BadVocab, || merge("h e l")),
    ("V20", "merge-empty", Class::BadVocab, || merge("")),
    ("V21", "merge-of-no-tokens", Class::BadVocab, || merge("zzz yyy")),
    ("V21", "merge-into-no-token", Class::BadVocab, || merge("z z")),
    ("V22", "merge-twice-100000-times", Class::BadVocab, || {
        set(toys::bpe(), MERGES, (0..100_000).map(|_| "h e").collect::<Strings>())
    }),
    ("V23", "bos-is-n-vocab", Class::BadVocab, || set(toys::bpe(), BOS, 270_u32)),
    ("V24", "eos-is-all-ones", Class::BadVocab, || {
        set(toys::bpe(), "tokenizer.ggml.eos_token_id", u32::MAX)
    }),
    ("V25", "bos-is-a-string", Class::WrongType, || set(toys::bpe(), BOS, "1")),
    ("V26", "adds-bos-without-one", Class::BadVocab, || {
        set(without(toys::bpe(), BOS), "tokenizer.ggml.add_bos_token", true)
    }),
    ("V27", "model-unknown", Class::BadVocab, || set(toys::bpe(), MODEL, "wordpiece-2")),
    ("V28", "pre-unknown", Class::BadVocab, || set(toys::bpe(), PRE, "gpt-5")),
    ("V28", "pre-missing", Class::MissingKey, || without(toys::bpe(), PRE)),
    ("V29", "spm-without-byte-tokens", Class::BadVocab, || token(toys::spm(), 3, "nil")),
    ("V29", "bpe-without-a-byte", Class::BadVocab, || token(toys::bpe(), 65, "AA")),
    ("V30", "model-t5", Class::BadVocab, || set(toys::spm(), MODEL, "t5")),
    ("V31", "model-bert", Class::BadVocab, || set(toys::spm(), MODEL, "bert")),
    ("X11", "million-equal-tokens", Class::BadVocab, million_equal_tokens),
    ("X11", "byte-token-that-is-none", Class::BadVocab, || token(toys::spm(), 3, "<0xZZ>")),
];

pub(super) fn cases() -> Vec<Case> {
    let refused = ROWS.iter().map(|(id, name, class, make)| {
        let name = format!("tokenizer::malformed::{}-{name}", id.to_lowercase());
        Case::new(name, move |_| refused_as(*class, &make())).requirements([*id])
    });
    let accepted = [
        Case::new("tokenizer::malformed::v07-token-not-utf8", |_| v07()).requirements(["V07"]),
        Case::new("tokenizer::malformed::v08-token-of-4-mib", |_| v08()).requirements(["V08"]),
        Case::new("tokenizer::malformed::x11-deep-chain", |_| deep_chain()).requirements(["X11"]),
        Case::new("tokenizer::malformed::x11-space-is-special", |_| space()).requirements(["X11"]),
        Case::new("tokenizer::malformed::x11-prefix-of-all", |_| prefix()).requirements(["X11"]),
        Case::new("tokenizer::malformed::pre-missing-shows-evidence", |_| evidence()),
        Case::new("tokenizer::malformed::pre-overridden", |_| overridden()),
    ];
    refused.chain(accepted).collect()
}

/// Far more than any of these should take, far less than quadratic time would.
const SECONDS: f64 = 5.0;

fn refused_as(class: Class, metadata: &Metadata) -> Result<(), Failure> {
    let start = Instant::now();
    let outcome = Tokenizer::from_metadata(metadata, &Options::default());
    let seconds = start.elapsed().as_secs_f64();
    match outcome {
        Ok(_) => Err(format!("taken; wanted {class}").into()),
        Err(e) if e.class() != Some(class) => Err(format!("wanted {class}, got: {e}").into()),
        Err(e) if !e.to_string().contains("tokenizer.ggml.") => {
            Err(format!("names no key: {e}").into())
        }
        Err(_) if seconds > SECONDS => Err(format!("refused only after {seconds:.1} s").into()),
        Err(_) => Ok(()),
    }
}

fn set(mut metadata: Metadata, key: &str, value: impl Into<Value>) -> Metadata {
    metadata.set(key, value);
    metadata
}

fn without(mut metadata: Metadata, key: &str) -> Metadata {
    metadata.retain(|name| name != key);
    metadata
}

fn strings(all: &[&str]) -> Strings {
    all.iter().collect()
}

fn tokens_of(metadata: &Metadata) -> Vec<Vec<u8>> {
    match metadata.get(TOKENS) {
        Some(Value::Array(Array::String(tokens))) => tokens.iter().map(<[u8]>::to_vec).collect(),
        _ => Vec::new(),
    }
}

/// The ground with another text for one token.
fn token(metadata: Metadata, id: usize, text: impl AsRef<[u8]>) -> Metadata {
    let mut tokens = tokens_of(&metadata);
    tokens[id] = text.as_ref().to_vec();
    set(metadata, TOKENS, tokens.iter().collect::<Strings>())
}

fn no_tokens() -> Metadata {
    set(set(toys::bpe(), TYPES, Vec::<i32>::new()), TOKENS, Strings::default())
}

fn one_type(number: i32) -> Metadata {
    let mut types = vec![1; 270];
    types[4] = number;
    set(toys::bpe(), TYPES, types)
}

fn score_nan() -> Metadata {
    let mut scores = vec![0.0; tokens_of(&toys::spm()).len()];
    scores[7] = f32::NAN;
    set(toys::spm(), SCORES, scores)
}

/// The ground with one more merge.
fn merge(text: &str) -> Metadata {
    let metadata = toys::bpe();
    let Ok(known) = metadata.strings(MERGES).cloned() else { return metadata };
    let merges = known.iter().chain([text.as_bytes()]).collect::<Strings>();
    set(metadata, MERGES, merges)
}

fn million_equal_tokens() -> Metadata {
    let metadata = set(toys::bpe(), TYPES, vec![1_i32; 1_000_000]);
    set(metadata, TOKENS, (0..1_000_000).map(|_| "a").collect::<Strings>())
}

/// `got` tokenises `text` and gives it back.
fn comes_back(metadata: &Metadata, text: &[u8]) -> Result<Vec<u32>, Failure> {
    let tokenizer = toys::tokenizer(metadata)?;
    let options = EncodeOptions { add_special: false, parse_special: true };
    let ids = tokenizer.encode(text, options)?;
    match tokenizer.decode_bytes(&ids, true)? == text {
        true => Ok(ids),
        false => Err("the text does not come back".into()),
    }
}

fn v07() -> Result<(), Failure> {
    comes_back(&token(toys::bpe(), 267, b"\xff\xfe"), b"the end").map(|_| ())
}

fn v08() -> Result<(), Failure> {
    let start = Instant::now();
    comes_back(&token(toys::bpe(), 269, "x".repeat(4 << 20)), b"the end")?;
    match toys::tokenizer(&token(toys::spm(), 270, "x".repeat(4 << 20))) {
        Err(e) if e.contains("BadVocab") => {}
        Err(e) => return Err(format!("wanted BadVocab, got: {e}").into()),
        Ok(_) => {}
    }
    match start.elapsed().as_secs_f64() {
        seconds if seconds > SECONDS => Err(format!("took {seconds:.1} s").into()),
        _ => Ok(()),
    }
}

/// A merge that needs the one before it, 3000 times over: no recursion, and the whole chain.
fn deep_chain() -> Result<(), Failure> {
    const DEPTH: usize = 3000;
    let metadata = toys::bpe();
    let mut tokens = tokens_of(&metadata);
    tokens.truncate(256);
    let mut merges = Strings::default();
    for length in 1..DEPTH {
        merges.push(format!("{} z", "z".repeat(length)));
        tokens.push(vec![b'z'; length + 1]);
    }
    let metadata = without(without(without(metadata, BOS), "tokenizer.ggml.eos_token_id"), TYPES);
    let metadata = set(metadata, TOKENS, tokens.iter().collect::<Strings>());
    let metadata = set(metadata, MERGES, merges);
    let text = vec![b'z'; DEPTH];
    match comes_back(&metadata, &text)?[..] {
        // Pairs form first, everywhere; a chain then has nothing single left to take but an end.
        [first, ..] if first >= 256 => Ok(()),
        ref ids => Err(format!("{} ids, the first a byte", ids.len()).into()),
    }
}

/// A space as a token of its own cuts every space out, and the text still comes back.
fn space() -> Result<(), Failure> {
    let ids = comes_back(&token(toys::bpe(), 268, " "), b"the the  hello")?;
    match ids.iter().filter(|id| **id == 268).count() {
        3 => Ok(()),
        count => Err(format!("{count} spaces were cut out, there are 3").into()),
    }
}

/// A special token that every other one begins with: the longest wins.
fn prefix() -> Result<(), Failure> {
    let ids = comes_back(&token(toys::bpe(), 268, "<|"), b"<|end|><|<|start|>")?;
    match ids[..] == [266, 268, 267] {
        true => Ok(()),
        false => Err(format!("got {ids:?}").into()),
    }
}

fn evidence() -> Result<(), Failure> {
    let outcome = toys::tokenizer(&without(toys::bpe(), PRE));
    let told = outcome.err().ok_or("a vocabulary without a pre-tokeniser was taken")?;
    for word in ["tokenizer.ggml.pre", "--pre", "3 digits", "fits"] {
        if !told.contains(word) {
            return Err(format!("the refusal does not say {word:?}: {told}").into());
        }
    }
    Ok(())
}

fn overridden() -> Result<(), Failure> {
    let options = Options { pre: Some("qwen2".into()), ..Options::default() };
    let tokenizer = Tokenizer::from_metadata(&without(toys::bpe(), PRE), &options)?;
    // One digit per piece: 123 is three tokens, where gpt-2 makes one.
    let ids = tokenizer.encode("123", EncodeOptions::PLAIN)?;
    match (ids.len(), tokenizer.info().pre.as_deref()) {
        (3, Some("qwen2")) => Ok(()),
        (count, pre) => Err(format!("{count} ids, pre-tokeniser {pre:?}").into()),
    }
}
