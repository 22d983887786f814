//! `cpu::random::` models of random weights in awkward dimensions (`conformance/models`), another
//! seed each time one is asked for: their logits are the same bits however a prompt is cut, and
//! where the golden tool is at hand, what llama.cpp computes with the same weights in F32. Knows no
//! family; goldens of such models stand in `golden::random`.

use crate::models;
use crate::subject::{Feed, Machine, OnCpu, Subject};
use engine::loader::Gguf;
use engine::profile::Profile;
use harness::vector::Budget;
use harness::{Case, Failure, Run, compare, environment};
use std::path::{Path, PathBuf};
use std::process::Command;

const TOOL: &str = "golden-tool";
/// Prompts cross the windows and the first contexts of all models.
const TOKENS: u32 = 40;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in models::names() {
        let model = name.clone();
        let parts = move |_: &mut Run| parts(&model);
        cases.push(Case::new(format!("cpu::random::parts::{name}"), parts));
        let model = name.clone();
        let asked = move |run: &mut Run| llama_cpp(&model, run);
        cases.push(Case::new(format!("cpu::random::llama-cpp::{name}"), asked).needs(TOOL));
    }
    let red = |_: &mut Run| another_seed();
    cases.push(Case::new("selftest::random::another-seed-is-red", red).needs(TOOL));
    cases
}

/// The model `name` of a seed, as a file.
fn file(name: &str, seed: u64, folder: &Path) -> Result<PathBuf, Failure> {
    let file = models::open(name, seed, folder)?;
    Ok(file.parts()[0].path().to_owned())
}

/// Ids all over the vocabulary of a file.
fn tokens(path: &Path) -> Result<Vec<u32>, Failure> {
    let file = Gguf::open(path)?;
    let table = file.tensor("token_embd.weight").ok_or("no embedding")?;
    let n_vocab = table.info.shape[1] as u32;
    let learned = file.tensor("position_embd.weight").map(|view| view.info.shape[1] as u32);
    let count = learned.unwrap_or(TOKENS).min(TOKENS);
    Ok((0..count).map(|index| (index * 37 + 5) % n_vocab).collect())
}

fn parts(name: &str) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    for seed in [1, 2] {
        let path = file(name, seed, folder.path())?;
        let tokens = tokens(&path)?;
        let mut subject = Subject::open(OnCpu::open()?, &path, Profile::Reference, |_| ())?;
        let whole = subject.logits(&tokens, Feed::whole(&tokens))?;
        for rows in [1, 5, 16] {
            let parts = subject.logits(&tokens, Feed::parts(&tokens, rows))?;
            let differ = whole.iter().zip(&parts).position(|(a, b)| a.to_bits() != b.to_bits());
            if let Some(at) = differ {
                let (found, wanted) = (parts[at], whole[at]);
                let row = at * tokens.len() / whole.len();
                let detail = format!("row {row}: {found:?} by {rows} rows, {wanted:?} as a whole");
                return Err(format!("seed {seed}, logit {at}, {detail}").into());
            }
        }
    }
    Ok(())
}

/// llama.cpp's logits on the exact twin of a file.
fn asked(path: &Path, tokens: &[u32]) -> Result<Vec<f32>, Failure> {
    let tool = environment::value("ORCD_GOLDEN_TOOL").ok_or("ORCD_GOLDEN_TOOL is not set")?;
    let out = path.with_extension("npy");
    let ids: Vec<String> = tokens.iter().map(u32::to_string).collect();
    let mut command = Command::new(tool);
    command.args(["logits", "--twin", "--tokens", &ids.join(",")]);
    let answer = command.arg("--model").arg(path).arg("--out").arg(&out).output()?;
    if !answer.status.success() {
        let said = String::from_utf8_lossy(&answer.stderr);
        return Err(format!("the golden tool: {}: {said}", answer.status).into());
    }
    numbers(&std::fs::read(&out)?)
}

/// The numbers of a NumPy file of little-endian f32.
fn numbers(bytes: &[u8]) -> Result<Vec<f32>, Failure> {
    let head = bytes.get(..10).filter(|head| head.starts_with(b"\x93NUMPY\x01\x00"));
    let head = head.ok_or("no NumPy file of version 1")?;
    let start = 10 + usize::from(u16::from_le_bytes([head[8], head[9]]));
    let (described, data) = bytes.split_at_checked(start).ok_or("a NumPy file cut short")?;
    if !String::from_utf8_lossy(described).contains("'<f4'") {
        return Err("a NumPy file of something else than little-endian f32".into());
    }
    let number = |bytes: &[u8; 4]| f32::from_le_bytes(*bytes);
    Ok(data.as_chunks::<4>().0.iter().map(number).collect())
}

fn llama_cpp(name: &str, run: &mut Run) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let path = file(name, 1, folder.path())?;
    let theirs = asked(&path, &tokens(&path)?)?;
    close(name, &path, &theirs)?.record(run, "twin");
    Ok(())
}

fn close(name: &str, path: &Path, theirs: &[f32]) -> Result<compare::Measured, Failure> {
    let tokens = tokens(path)?;
    let mut subject = Subject::open(OnCpu::open()?, path, Profile::LlamaCpp, |_| ())?;
    // Phi-3's factors go by the whole length, and llama.cpp's context is never below 256.
    let feed = Feed { total: 256.max(tokens.len()), ..Feed::whole(&tokens) };
    let learned = subject.model.architecture.learned_positions;
    let feed = if learned { Feed::whole(&tokens) } else { feed };
    let ours = subject.logits(&tokens, feed)?;
    let width = ours.len() / tokens.len();
    let measured = compare::arrays(name, &ours, theirs)
        .shape(&[("row", tokens.len()), ("logit", width)])
        .within(&Budget {
            nmse: Some(1e-8),
            worst_row_nmse: Some(1e-7),
            rel: None,
            abs: None,
            why: "f32 sums in another order; GPT-2's table of GELU is the largest part".into(),
        })?;
    Ok(measured)
}

fn another_seed() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let path = file("llama-mqa", 1, folder.path())?;
    let theirs = asked(&path, &tokens(&path)?)?;
    let other = file("llama-mqa", 2, folder.path())?;
    match close("llama-mqa", &other, &theirs) {
        Ok(_) => Err("the logits of another seed were taken for the same".into()),
        Err(_) => Ok(()),
    }
}
