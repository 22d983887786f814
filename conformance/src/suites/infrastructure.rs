//! `selftest::{property,snapshot,bench}::` — that properties, snapshots and benchmarks can be red,
//! and say what an engineer needs when they are.

use crate::bench::{self, Bench, Work};
use crate::{property, snapshot};
use harness::{Case, Failure, Run};
use proptest::strategy::Strategy;
use std::cell::RefCell;
use std::path::Path;

pub(super) fn cases() -> Vec<Case> {
    let property = |name: &str, body: fn() -> Result<(), Failure>| {
        Case::new(format!("selftest::property::{name}"), move |_| body())
    };
    let mut cases = vec![
        property("a-false-one-prints-a-vector", false_property),
        property("a-panic-is-red", panicking_property),
        property("no-input-is-red", property_without_inputs),
        property("same-seed-same-inputs", same_inputs),
        property("a-found-input-is-tried-first-next-time", replayed_input),
        property("floats-are-written-exactly", exact_floats),
    ];
    cases.push(Case::new("selftest::snapshot::differences", |_| snapshot_differences()));
    cases.push(Case::new("selftest::snapshot::no-recording-is-red", |_| {
        red("a golden that is not there", snapshot::matches_golden("no-such-file.snap", ""))
    }));
    cases.push(Case::new("selftest::bench::no-work-is-red", |_| {
        red("a body that does nothing", bench::smoke(&idle(false)))?;
        red("a check that accepts everything", bench::smoke(&idle(true)))
    }));
    cases
}

fn red(what: &str, outcome: Result<(), Failure>) -> Result<(), Failure> {
    match outcome {
        Ok(()) => Err(format!("{what} is green").into()),
        Err(_) => Ok(()),
    }
}

/// The text of the failure of a property over `1000..=max` that holds for no input.
fn failure_of(
    regressions: Option<&Path>,
    seen: &RefCell<Vec<u32>>,
    holds: impl Fn(u32) -> bool,
) -> Result<String, Failure> {
    let strategy = 1000u32..100_000;
    let check = |value: &u32| {
        seen.borrow_mut().push(*value);
        if holds(*value) { Ok(()) } else { Err(format!("{value} is too large").into()) }
    };
    let vector = |value: &u32| property::ToVector::to_vector(value);
    let mut run = Run::default();
    let name = "property::example::all-small";
    match property::examine(&mut run, name, regressions, &strategy, &vector, &check) {
        Ok(()) => Err("a false property is green".into()),
        Err(failure) => Ok(failure.text().to_owned()),
    }
}

fn false_property() -> Result<(), Failure> {
    let text = failure_of(None, &RefCell::default(), |_| false)?;
    let pasted = text.split_once("[[case]]").ok_or("no [[case]] to paste")?.1;
    let table: toml::Table = format!("[[case]]{pasted}").parse()?;
    let value = table["case"][0]["value"].as_integer();
    if value != Some(1000) {
        return Err(format!("the input is not the smallest one: {value:?}\n{text}").into());
    }
    match text.contains("seed ") && text.contains("1000 is too large") {
        true => Ok(()),
        false => Err(format!("neither seed nor reason in\n{text}").into()),
    }
}

#[allow(clippy::panic)] // what is tested is that a panic is caught
fn panicking_property() -> Result<(), Failure> {
    let check = |_: &u32| -> Result<(), Failure> { panic!("on purpose") };
    let vector = |value: &u32| property::ToVector::to_vector(value);
    let outcome = property::examine(&mut Run::default(), "p", None, &(0u32..9), &vector, &check);
    red("a property that panics", outcome)
}

fn property_without_inputs() -> Result<(), Failure> {
    let none = (0u32..9).prop_filter("none will do", |_| false);
    let vector = |value: &u32| property::ToVector::to_vector(value);
    let outcome = property::examine(&mut Run::default(), "p", None, &none, &vector, &|_| Ok(()));
    red("a property that was never checked", outcome)
}

fn same_inputs() -> Result<(), Failure> {
    let [first, second] = [RefCell::default(), RefCell::default()];
    failure_of(None, &first, |_| false)?;
    failure_of(None, &second, |_| false)?;
    match first == second {
        true => Ok(()),
        false => Err(format!("{first:?}, then {second:?}").into()),
    }
}

fn replayed_input() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let file = property::regression_file(folder.path(), "property::example::all-small");
    let [first, second] = [RefCell::default(), RefCell::default()];
    // The first input of the run passes, so the failing one is a later one.
    let start = RefCell::new(None);
    let all_but_first = |value| *start.borrow_mut().get_or_insert(value) == value;
    failure_of(Some(&file), &first, all_but_first)?;
    failure_of(Some(&file), &second, all_but_first)?;
    let (first, second) = (first.into_inner(), second.into_inner());
    match (first.first(), second.first()) {
        (Some(before), Some(now)) if now != before && first.contains(now) => Ok(()),
        _ => Err(format!("{first:?}, then {second:?}: the failed input did not come first").into()),
    }
}

fn exact_floats() -> Result<(), Failure> {
    let values = [-0.0f32, f32::from_bits(0x7fc0_0001), f32::MIN_POSITIVE / 4.0];
    let text = property::ToVector::to_vector(&values.to_vec());
    let table: toml::Table = text.parse()?;
    let bits = table["bits"].as_array().ok_or("`bits` is no array")?;
    let bits: Vec<Option<i64>> = bits.iter().map(toml::Value::as_integer).collect();
    let want: Vec<Option<i64>> = values.iter().map(|v| Some(i64::from(v.to_bits()))).collect();
    match bits == want {
        true => Ok(()),
        false => Err(format!("{bits:x?} instead of {want:x?}").into()),
    }
}

fn snapshot_differences() -> Result<(), Failure> {
    let stored = "---\nsource: a\n---\none\ntwo\nthree\n";
    let body = snapshot::body(stored).ok_or("no body found")?;
    for (got, line) in [
        ("one\ntwo\nthree", None),
        ("one\ntwo\nthree\n", None),
        ("one\nTwo\nthree", Some("line 2")),
        ("one\ntwo", Some("line 3")),
        ("one\ntwo\nthree\nfour", Some("line 4")),
        ("", Some("line 1")),
    ] {
        let found = snapshot::first_difference(body, got);
        let as_wanted = match (&found, line) {
            (None, None) => true,
            (Some(text), Some(line)) => text.starts_with(line),
            _ => false,
        };
        if !as_wanted {
            return Err(format!("{got:?}: wanted {line:?}, found {found:?}").into());
        }
    }
    match snapshot::body("no header") {
        None => Ok(()),
        Some(_) => Err("a file without a header is a snapshot".into()),
    }
}

struct Idle {
    accepts_everything: bool,
}

impl Work for Idle {
    fn run(&mut self) {}

    fn check(&self) -> Result<(), Failure> {
        if self.accepts_everything { Ok(()) } else { Err("nothing was done".into()) }
    }
}

fn idle(accepts_everything: bool) -> Bench {
    Bench {
        name: "bench::example::idle".into(),
        verb: "idle",
        bytes: 1,
        operations_per_byte: 0.0,
        baseline: None,
        needs: None,
        setup: Box::new(move |_| Ok(Box::new(Idle { accepts_everything }))),
    }
}
