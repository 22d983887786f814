//! `cli::bench::` — which tests run, and what their figures count.

use super::toy::{HEAD_DIM, HEADS, KV_HEADS, LAYERS, N_EMBD, N_FF, N_VOCAB, Toy};
use super::{call, number, words};
use harness::{Case, Failure};
use serde_json::Value;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("cli::bench::tests", |_| tests()),
        Case::new("cli::bench::figures", |_| figures()),
        Case::new("cli::bench::table", |_| table()),
        Case::new("cli::bench::refusals", |_| refusals()),
    ]
}

fn json(line: &str) -> Result<Vec<Value>, Failure> {
    let read = call(&words(line))?.json()?;
    read.as_array().cloned().ok_or_else(|| format!("{read} is no array").into())
}

fn tests() -> Result<(), Failure> {
    let (one, two) = (Toy::new()?, Toy::new()?);
    let line = "-p 8,16 -n 4 -d 0,20 -b 1,3 -r 3 --json";
    let found = json(&format!("bench {} {} {line}", one.path, two.path))?;
    let names: Vec<&str> = found.iter().filter_map(|test| test["test"].as_str()).collect();
    let each = [
        "pp8",
        "pp16",
        "tg4",
        "pp8 × 3",
        "pp16 × 3",
        "tg4 × 3",
        "pp8 @ d20",
        "pp16 @ d20",
        "tg4 @ d20",
        "pp8 @ d20 × 3",
        "pp16 @ d20 × 3",
        "tg4 @ d20 × 3",
    ];
    if names != [each, each].concat() {
        return Err(format!("ran {names:?}").into());
    }
    for test in &found {
        let samples = test["samples"].as_array().map_or(0, Vec::len);
        let (least, most) =
            (number(test, "tokens_per_second_min")?, number(test, "tokens_per_second_max")?);
        let rate = number(test, "tokens_per_second")?;
        if samples != 3 || !(0.0 < least && least <= rate && rate <= most) {
            return Err(format!("{test}").into());
        }
    }
    Ok(())
}

/// Operations and bytes per token, counted by hand from the toy's shapes.
fn figures() -> Result<(), Failure> {
    let toy = Toy::new()?;
    let found = json(&format!("bench {} -p 4 -n 2 -d 10 -r 1 --json", toy.path))?;
    let (q, kv) = (HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM);
    let layer = N_EMBD * q + 2 * N_EMBD * kv + q * N_EMBD + 3 * N_EMBD * N_FF;
    let (layers, head) = (LAYERS * layer, N_EMBD * N_VOCAB);
    // Rows at positions 10 to 13 look at 11 to 14 positions; only the last wants logits.
    let looked = 4.0 * (LAYERS * q) as f64;
    let prompt = 2.0 * (layers as f64 + head as f64 / 4.0) + looked * 12.5;
    let written = 2.0 * (layers + head) as f64 + looked * 11.5;
    let norms = (2 * LAYERS + 1) * N_EMBD;
    let bytes = 4.0 * ((layers + head + norms) as f64 + 2.0 * (LAYERS * kv) as f64 * 11.5);
    let wants = [(0, "gflops", prompt), (1, "gflops", written), (1, "gigabytes_per_second", bytes)];
    for (test, key, want) in wants {
        let found = number(&found[test], key)? * 1e9 / number(&found[test], "tokens_per_second")?;
        if (found - want).abs() > 1e-6 * want {
            return Err(format!("{key} of a token: {found}, must be {want}").into());
        }
    }
    match found[0]["gigabytes_per_second"].is_null() {
        true => Ok(()),
        false => Err("a prompt has no bytes of a token".into()),
    }
}

fn table() -> Result<(), Failure> {
    let toy = Toy::new()?;
    let ended = call(&words(&format!("bench {} -p 4 -n 2 -r 1", toy.path)))?.fine()?;
    let says = ["tokens/s", "GFLOP/s", "pp4", "tg2", "toy.gguf", "cpu"];
    match says.iter().find(|part| !ended.out.contains(**part)) {
        None => Ok(()),
        Some(part) => Err(format!("no {part:?} in {}", ended.out).into()),
    }
}

fn refusals() -> Result<(), Failure> {
    let toy = Toy::new()?;
    let with = |line: &str| call(&words(&format!("bench {} {line}", toy.path)));
    with("-p 0 -n 0")?.refused(2, &["nothing to measure"])?;
    with("-r 0")?.refused(2, &["-r"])?;
    with("-b 0")?.refused(2, &["-b"])?;
    with("-p x")?.refused(2, &["'x'"])?;
    call(&["bench", "/nowhere/model.gguf"])?.refused(1, &["/nowhere/model.gguf"])
}
