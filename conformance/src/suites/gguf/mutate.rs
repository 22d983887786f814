//! Mutations of one valid file: every length it can be cut to, every bit of its head, every
//! boundary value in every field, and random damage. Each mutant must get a typed error or a layout
//! that the oracle confirms and that knows every bit of the head, within memory and without a hang.
//! Knows no single attack: those are vectors, and what is found here becomes one.

use super::attempt::{self, Answer, Attempt, HANG, Progress};
use super::construct::{self, Field, File};
use super::vector::{FileVector, heap_limit};
use super::{damage, oracle};
use crate::property::deep;
use harness::{Case, Failure, Run, roots, vector};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// The vector that all mutants come from.
const BASE: &str = "vectors/gguf/model.toml";
/// Random mutants of an ordinary run, and of the nightly one.
const RANDOM_MUTANTS: u64 = 20_000;
const RANDOM_MUTANTS_DEEP: u64 = 1_000_000;
/// How many broken mutants a failure lists.
const SHOWN: usize = 10;

/// The mutation cases.
pub fn cases() -> Vec<Case> {
    let case = |name: &str, attack: fn(&File, &mut Tally)| {
        Case::new(format!("gguf::mutate::{name}"), move |run| attack_base(run, attack))
    };
    vec![
        case("every-length", every_length),
        case("every-bit-of-the-head", every_bit),
        case("every-field-at-every-boundary", every_field),
        case("random-damage", random_damage),
    ]
}

/// The base file with its fields.
pub fn base() -> Result<File, String> {
    let path = roots::project().join(BASE);
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let file = vector::parse::<FileVector>(&path, &text)?;
    let (_, model) = file.cases.first().ok_or("no base model")?;
    construct::build(&model.file)
}

/// What became of the mutants so far.
pub struct Tally {
    progress: Progress,
    heap_limit: usize,
    heap_peak: usize,
    mutants: u64,
    answers: BTreeMap<String, u64>,
    broken: Vec<String>,
}

impl Tally {
    /// Judges one mutant. `wants` names the answers it may get; empty means any typed one.
    fn judge(&mut self, mutant: &[u8], wants: &[&str], what: impl FnOnce() -> String) {
        self.mutants += 1;
        self.progress.store(self.mutants, Ordering::Relaxed);
        let attempt = attempt::parse(mutant);
        self.heap_peak = self.heap_peak.max(attempt.heap.peak_bytes);
        if let Err(why) = self.examine(mutant, &attempt, wants) {
            self.broken.push(format!("{}: {why}", what()));
        }
        *self.answers.entry(attempt.answer.word()).or_default() += 1;
    }

    fn examine(&self, mutant: &[u8], attempt: &Attempt, wants: &[&str]) -> Result<(), String> {
        if attempt.heap.peak_bytes > self.heap_limit {
            return Err(format!("{} heap bytes at once", attempt.heap.peak_bytes));
        }
        let word = attempt.answer.word();
        if !wants.is_empty() && !wants.contains(&word.as_str()) {
            return Err(format!("{word}, not one of {wants:?}: {}", attempt.answer.text()));
        }
        match &attempt.answer {
            Answer::Accepted(layout) => oracle::verify(mutant, layout),
            Answer::Broken(text) => Err(text.clone()),
            Answer::Refused(_, text) => attempt::unfit(text).map_or(Ok(()), Err),
        }
    }

    fn report(self, run: &mut Run) -> Result<(), Failure> {
        run.figure("mutants", self.mutants as f64, "");
        run.figure("heap-peak", self.heap_peak as f64, "bytes");
        for (word, count) in &self.answers {
            run.figure(word, *count as f64, "mutants");
        }
        if self.broken.is_empty() {
            return Ok(());
        }
        let shown: Vec<_> = self.broken.iter().take(SHOWN).map(String::as_str).collect();
        let count = self.broken.len();
        Err(format!("{count} of {} mutants:\n    {}", self.mutants, shown.join("\n    ")).into())
    }
}

fn attack_base(run: &mut Run, attack: fn(&File, &mut Tally)) -> Result<(), Failure> {
    let base = base()?;
    let heap_limit = heap_limit(&base.bytes);
    let tally = attempt::watched(HANG, move |progress| {
        let mut tally = Tally {
            progress: progress.clone(),
            heap_limit,
            heap_peak: 0,
            mutants: 0,
            answers: BTreeMap::new(),
            broken: Vec::new(),
        };
        attack(&base, &mut tally);
        tally
    })?;
    tally.report(run)
}

/// X01: a file that was cut says so, whatever it was cut in.
fn every_length(base: &File, tally: &mut Tally) {
    let cut = ["Truncated", "CountOutOfRange", "StringTooLong", "ArrayTooLong"];
    for length in 1..base.bytes.len() {
        tally.judge(&base.bytes[..length], &cut, || format!("cut to {length} bytes"));
    }
    tally.judge(&[], &["BadMagic"], || "cut to nothing".into());
    tally.judge(&base.bytes, &["Ok"], || "not cut at all".into());
}

/// X02: every bit of header, metadata and infos.
fn every_bit(base: &File, tally: &mut Tally) {
    let head_bytes = oracle::walk(&base.bytes).map_or(0, |walk| walk.head_bytes);
    let mut mutant = base.bytes.clone();
    for at in 0..head_bytes {
        for bit in 0..8 {
            mutant[at] ^= 1 << bit;
            tally.judge(&mutant, &[], || format!("bit {bit} of byte {at} flipped"));
            mutant[at] ^= 1 << bit;
        }
    }
}

/// X03: every length, count, type, dimension, offset and number.
fn every_field(base: &File, tally: &mut Tally) {
    let mut mutant = base.bytes.clone();
    for field in &base.fields {
        let span = field.at..field.at + field.width;
        for value in boundaries(field, base.bytes.len() as u64) {
            mutant[span.clone()].copy_from_slice(&value.to_le_bytes()[..field.width]);
            tally.judge(&mutant, &[], || format!("{} at byte {} = {value}", field.role, field.at));
        }
        mutant[span.clone()].copy_from_slice(&base.bytes[span]);
    }
}

/// The boundary values that fit a field of a file of `length` bytes.
pub fn boundaries(field: &Field, length: u64) -> impl Iterator<Item = u64> {
    let small = [0, 1, 1 << 7, 0xff, 1 << 15, 0xffff];
    let middle = [(1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 53, 1 << 62];
    let large = [(1 << 63) - 1, 1 << 63, u64::MAX - 1, u64::MAX];
    let own = [length - 1, length, length + 1];
    let most = if field.width == 4 { u64::from(u32::MAX) } else { u64::MAX };
    let all = small.into_iter().chain(middle).chain(large).chain(own);
    all.filter(move |value| *value <= most)
}

/// Several kinds of damage at once; a mutant's number is its seed.
fn random_damage(base: &File, tally: &mut Tally) {
    let count = if deep() { RANDOM_MUTANTS_DEEP } else { RANDOM_MUTANTS };
    for seed in 0..count {
        let mutant = damage::mutant(base, seed);
        tally.judge(&mutant, &[], || format!("random mutant {seed}"));
    }
}
