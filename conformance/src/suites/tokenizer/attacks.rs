//! `tokenizer::attack::` — texts made to be slow: one class, two classes in turn, no boundary
//! anywhere. Time must grow with the text and no faster, and nothing may recurse.

use super::shapes::Rng;
use super::tiktoken::O200K_HARMONY;
use super::toys;
use engine::tokenizer::{EncodeOptions, Tokenizer};
use harness::{Case, Failure, Run};
use std::time::Instant;

/// What is repeated to fill a text.
const PATTERNS: &[(&str, &str)] = &[
    ("letters", "a"),
    ("capitals", "Z"),
    ("spaces", " "),
    ("line-ends", "\n"),
    ("spaces-then-line-ends", " \n"),
    ("line-end-then-spaces", "\n       "),
    ("digits", "0"),
    ("punctuation", "="),
    ("combining-marks", "\u{301}"),
    ("caseless", "日"),
    ("caseless-and-capital", "日A"),
    ("mark-and-capital", "\u{301}A"),
    ("letter-and-digit", "a1"),
    ("space-and-punctuation", " ."),
    ("apostrophes", "'"),
    ("contractions", "'s"),
    ("special-starts", "<|"),
    ("emoji-joined", "👩\u{200d}"),
    ("nul", "\u{0}"),
];

const MIB: usize = 1 << 20;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, pattern) in PATTERNS {
        let case = Case::new(format!("tokenizer::attack::{name}"), move |run| attack(pattern, run));
        cases.push(case.requirements(["C14"]));
    }
    cases.push(Case::new("tokenizer::attack::invalid-utf8", |_| invalid()).requirements(["C14"]));
    cases.push(Case::new("tokenizer::attack::prose-of-64-mib", prose).requirements(["C14"]));
    cases
}

fn seconds(tokenizer: &Tokenizer, text: &[u8]) -> Result<f64, Failure> {
    let start = Instant::now();
    tokenizer.encode(text, EncodeOptions::PROMPT)?;
    Ok(start.elapsed().as_secs_f64())
}

/// 1 MiB takes at most this many times as long as a quarter of it: 4 if linear, 4.4 with a heap's
/// logarithm, more where the caches end and memory is new; quadratic time would be 16.
const MOST_RATIO: f64 = 10.0;
/// So much is always allowed: at a tenth of a nanosecond a step, quadratic time would be 100 s.
const SLACK_SECONDS: f64 = 0.25;
const SHORT: usize = MIB / 4;
/// The machine may be busy with other cases: the fastest of a few runs counts.
const RUNS: usize = 5;

fn linear(tokenizer: &Tokenizer, text: &[u8]) -> Result<f64, Failure> {
    let (mut short, mut long) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..RUNS {
        short = short.min(seconds(tokenizer, &text[..SHORT])?);
        long = long.min(seconds(tokenizer, text)?);
        if long < short * MOST_RATIO + SLACK_SECONDS {
            return Ok(long);
        }
    }
    Err(format!("256 KiB in {short:.4} s, 1 MiB in {long:.4} s").into())
}

fn attack(pattern: &str, run: &mut Run) -> Result<(), Failure> {
    let text: Vec<u8> = pattern.bytes().cycle().take(MIB).collect();
    let spm = toys::tokenizer(&toys::spm())?;
    for (name, tokenizer) in [("o200k", &O200K_HARMONY.made()?.tokenizer), ("spm", &spm)] {
        let long = linear(tokenizer, &text).map_err(|why| format!("{name}: {}", why.text()))?;
        run.figure(&format!("{name}-1-mib"), long * 1e3, "ms");
        let ids = tokenizer.encode(&text, EncodeOptions::PLAIN)?;
        if tokenizer.decode_bytes(&ids, false)? != text {
            return Err(format!("{name}: the text does not come back").into());
        }
    }
    Ok(())
}

/// Random bytes, each a class of its own as far as UTF-8 goes.
fn invalid() -> Result<(), Failure> {
    let mut rng = Rng(7);
    let text: Vec<u8> = (0..MIB).map(|_| rng.next() as u8).collect();
    let tokenizer = &O200K_HARMONY.made()?.tokenizer;
    let ids = tokenizer.encode(&text, EncodeOptions::PLAIN)?;
    match tokenizer.decode_bytes(&ids, false)? == text {
        true => Ok(()),
        false => Err("1 MiB of random bytes does not come back".into()),
    }
}

/// Sixty-four mebibytes of words, in one call: memory is the ids and a fixed cache.
fn prose(run: &mut Run) -> Result<(), Failure> {
    let tokenizer = &O200K_HARMONY.made()?.tokenizer;
    let text = crate::corpus::prose_and_code(64 * MIB, 1);
    let start = Instant::now();
    let ids = tokenizer.encode(&text, EncodeOptions::PLAIN)?;
    run.figure("encode", text.len() as f64 / 1e6 / start.elapsed().as_secs_f64(), "MB/s");
    run.figure("tokens", ids.len() as f64, "");
    match tokenizer.decode_bytes(&ids, false)? == text.as_bytes() {
        true => Ok(()),
        false => Err("the text does not come back".into()),
    }
}
