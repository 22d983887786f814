//! `cuda::memory::` what a whole model takes of a device: as much as `inspect` says, and nothing
//! once it is gone.

use crate::models;
use crate::subject::{Feed, Subject, fixtures, loaded_kernels};
use crate::suites::real;
use engine::backend::NoTaps;
use engine::backend::cuda::{Cuda, Owner};
use engine::batch::{ROWS, Role};
use engine::forward::{Context, Logits};
use engine::kv::{CachePlan, Precision};
use engine::loader::Gguf;
use engine::memory;
use engine::profile::Profile;
use harness::{Case, Failure, Run};
use std::path::{Path, PathBuf};

/// What the estimate may be off by: rows are made in pieces that are used again by others.
const SHARE: f64 = 0.02;

/// What gpt-oss-20b may take, at any context.
const MOST: f64 = 24e9;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: String, body: fn(&Path, &mut Run) -> Result<(), Failure>, path| {
        let path: PathBuf = path;
        cases.push(Case::new(name, move |run| body(&path, run)).needs("cuda"));
    };
    for (model, path) in fixtures() {
        add(format!("cuda::memory::{model}::weights-and-past"), parts, path.clone());
        add(format!("cuda::memory::{model}::a-hundred-loads"), hundred_loads, path);
    }
    for (model, path) in real::files() {
        add(
            format!("cuda::memory::{model}::peak-at-8192"),
            |path, run| peak(path, 8192, run),
            path,
        );
    }
    for (model, path) in real::files() {
        let name = format!("cuda::memory::{model}::peak-at-its-longest");
        add(name, |path, run| peak(path, usize::MAX, run), path);
    }
    cases.push(
        Case::new("cuda::memory::gpt-oss-fused::a-hundred-loads", |run| {
            let folder = tempfile::tempdir()?;
            models::open("gpt-oss-fused", 0, folder.path())?;
            hundred_loads(&folder.path().join("gpt-oss-fused.gguf"), run)
        })
        .needs("cuda"),
    );
    cases
}

fn open(path: &Path, poisoned: bool) -> Result<Subject<Cuda>, Failure> {
    let backend = Cuda::on(&loaded_kernels()?, poisoned)?;
    Ok(Subject::open(backend, path, Profile::Reference, |_| ())?)
}

fn file_bytes(path: &Path) -> Result<u64, Failure> {
    Ok(Gguf::open(path)?.tensors().iter().map(|info| info.bytes).sum())
}

fn near(what: &str, has: u64, estimate: u64) -> Result<(), Failure> {
    let off = (has as f64 - estimate as f64).abs();
    match off <= SHARE * estimate as f64 {
        true => Ok(()),
        false => Err(format!("{what}: {has} bytes, estimated {estimate}").into()),
    }
}

/// Weights within the share, vectors being kept in f32; keys and values to the byte.
fn parts(path: &Path, run: &mut Run) -> Result<(), Failure> {
    let context = loaded_kernels()?.context().clone();
    let before = context.ledger();
    let mut subject = open(path, true)?;
    let held = |owner| (context.ledger().held(owner) - before.held(owner)) as u64;
    let (weights, estimate) = (held(Owner::Weights), file_bytes(path)?);
    run.figure("weights", weights as f64, "bytes");
    for precision in [Precision::F32, Precision::F16] {
        let plan = CachePlan::new(&subject.model.architecture, 3, 100, 8, precision);
        let kept = Context::new(&mut subject.backend, plan.clone())?;
        let bytes = held(Owner::Kv);
        drop(kept);
        if bytes != plan.bytes() {
            return Err(format!("{bytes} bytes of past, planned {}", plan.bytes()).into());
        }
    }
    near("weights", weights, estimate)
}

/// A model that came and went a hundred times, with some rows each time.
fn hundred_loads(path: &Path, _: &mut Run) -> Result<(), Failure> {
    let context = loaded_kernels()?.context().clone();
    let round = || -> Result<(), Failure> {
        let mut subject = open(path, false)?;
        let mut kept = subject.context(1, Feed { max_rows: 8, kv: Precision::F16, total: 16 })?;
        let mut taps = NoTaps;
        let mut runner = subject.runner(&mut taps);
        kept.extend(&mut runner, 0, &[1, 2, 3], Role::Prompt, Logits::Last)?;
        kept.extend(&mut runner, 0, &[4], Role::Generated, Logits::Last)?;
        Ok(())
    };
    round()?;
    context.synchronize()?;
    let (ledger, (before, _)) = (context.ledger(), context.memory()?);
    (0..100).try_for_each(|_| round())?;
    context.synchronize()?;
    let (after, _) = context.memory()?;
    let left = context.ledger();
    if let Some(owner) = Owner::ALL.iter().find(|owner| left.held(**owner) != ledger.held(**owner))
    {
        return Err(format!("{owner}: before {ledger:?}, after {left:?}").into());
    }
    // The driver gives memory out in pieces of 2 MiB; a hundred models would be hundreds.
    match before.saturating_sub(after) <= 4 << 20 {
        true => Ok(()),
        false => Err(format!("{before} bytes free before, {after} after").into()),
    }
}

/// A prompt and some generated rows, in a past of so many positions.
fn peak(path: &Path, positions: usize, run: &mut Run) -> Result<(), Failure> {
    // A device of its own to count on: the ledger's peak is of its whole life.
    let kernels = std::sync::Arc::new(engine::backend::cuda::kernels::Kernels::new(
        &engine::backend::cuda::Context::open(0)?,
    )?);
    let context = kernels.context().clone();
    let backend = Cuda::on(&kernels, false)?;
    let mut subject = Subject::open(backend, path, Profile::Reference, |_| ())?;
    let architecture = &subject.model.architecture;
    let (family, total) = (architecture.family, positions.min(architecture.n_ctx));
    let rows = ROWS.min(total);
    let plan = CachePlan::new(architecture, 1, total, rows, Precision::F16);
    let rows_bytes = memory::activations(architecture, rows, 1);
    let estimate = file_bytes(path)? + plan.bytes() + rows_bytes;
    let mut kept = Context::new(&mut subject.backend, plan)?;
    kept.start(0, total)?;
    let tokens: Vec<u32> = (0..rows as u32).collect();
    let mut taps = NoTaps;
    let mut runner = subject.runner(&mut taps);
    kept.extend(&mut runner, 0, &tokens, Role::Prompt, Logits::Last)?;
    for token in &tokens[..rows.min(total - rows).min(4)] {
        kept.extend(&mut runner, 0, &[*token], Role::Generated, Logits::Last)?;
    }
    let peak = context.ledger().peak() as u64;
    run.figure("peak", peak as f64, "bytes");
    run.figure("estimate", estimate as f64, "bytes");
    let held = context.ledger();
    let held = Owner::ALL.map(|owner| format!("{owner} {}", held.held(owner))).join(", ");
    near(&format!("peak (in the end {held})"), peak, estimate)?;
    match family == "gpt-oss" && peak as f64 > MOST {
        true => Err(format!("{peak} bytes, at most {MOST}").into()),
        false => Ok(()),
    }
}
