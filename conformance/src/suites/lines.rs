//! `cuda::fused::dense::MODEL::` — generated rows of dense models are recorded once and replayed.
//! They must give the composed verbs' bits, in any company, past and cache, also when the
//! description of the model changes between two rows.

use crate::subject::{Feed, Machine, OnCuda, Subject, fixtures};
use engine::backend::cuda::Cuda;
use engine::backend::taps::Recorder;
use engine::backend::{NoTaps, Taps};
use engine::batch::{Batch, Role};
use engine::error::Result as EngineResult;
use engine::forward::{Context, Logits};
use engine::kv::Precision;
use engine::profile::Profile;
use harness::{Case, Failure, compare};
use std::path::Path;

/// Positions of the prompt, and generated rows behind it: across a tile of attention.
const PROMPT: usize = 40;
const ROWS: usize = 40;
const TOTAL: usize = 128;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (model, path) in fixtures() {
        if model.starts_with("gpt-oss") {
            continue;
        }
        let mut case = |name: &str, body: fn(&mut Subject<Cuda>) -> Result<(), Failure>| {
            let (name, path) = (format!("cuda::fused::dense::{model}::{name}"), path.clone());
            cases.push(Case::new(name, move |_| body(&mut open(&path)?)).needs("cuda"));
        };
        case("equals-composed-f32", |subject| equal(subject, Precision::F32));
        case("equals-composed-f16", |subject| equal(subject, Precision::F16));
        case("in-company", company);
        case("in-parts", parts);
        case("two-caches", caches);
        case("edited", edited);
    }
    cases
}

fn open(path: &Path) -> EngineResult<Subject<Cuda>> {
    Subject::open(OnCuda::open()?, path, Profile::Reference, |_| ())
}

fn feed(kv: Precision) -> Feed {
    Feed { max_rows: 64, kv, total: TOTAL }
}

fn token(at: usize, vocab: usize) -> u32 {
    (at * 7919 % vocab) as u32
}

/// Logits of generated rows behind a prompt of `past` positions, `part` rows at a time.
fn logits(
    subject: &mut Subject<Cuda>,
    context: &mut Context<Cuda>,
    taps: &mut dyn Taps,
    (past, part): (usize, usize),
) -> Result<Vec<f32>, Failure> {
    let vocab = subject.model.architecture.n_vocab;
    let tokens: Vec<u32> = (0..past + ROWS).map(|at| token(at, vocab)).collect();
    context.start(0, TOTAL)?;
    let mut runner = subject.runner(taps);
    context.extend(&mut runner, 0, &tokens[..past], Role::Prompt, Logits::Last)?;
    let mut all = Vec::new();
    for part in tokens[past..].chunks(part) {
        all.extend(context.extend(&mut runner, 0, part, Role::Generated, Logits::All)?);
    }
    Ok(all)
}

/// The same in a cache of its own, and how many passes were replayed.
fn fresh(
    subject: &mut Subject<Cuda>,
    kv: Precision,
    taps: &mut dyn Taps,
    part: usize,
) -> Result<(Vec<f32>, u64), Failure> {
    let before = subject.backend.replayed();
    let mut context = subject.context(1, feed(kv))?;
    let all = logits(subject, &mut context, taps, (PROMPT, part))?;
    Ok((all, subject.backend.replayed() - before))
}

fn same(what: &str, got: &[f32], want: &[f32]) -> Result<(), Failure> {
    let shape = [("row", ROWS), ("logit", want.len() / ROWS)];
    compare::arrays(what, got, want).shape(&shape).exactly()
}

/// Looks nowhere, which alone makes a pass composed.
fn composed() -> Recorder<'static> {
    Recorder::new(|_| false)
}

fn equal(subject: &mut Subject<Cuda>, kv: Precision) -> Result<(), Failure> {
    let (replayed, count) = fresh(subject, kv, &mut NoTaps, 1)?;
    if count != ROWS as u64 {
        return Err(format!("{count} of {ROWS} rows were replayed").into());
    }
    let (want, count) = fresh(subject, kv, &mut composed(), 1)?;
    if count != 0 {
        return Err(format!("{count} rows were replayed that somebody looked at").into());
    }
    same("replayed", &replayed, &want)
}

/// Three sequences that are of different lengths, one row of each at a time.
fn company(subject: &mut Subject<Cuda>) -> Result<(), Failure> {
    let vocab = subject.model.architecture.n_vocab;
    let (want, _) = fresh(subject, Precision::F32, &mut NoTaps, 1)?;
    let mut context = subject.context(3, feed(Precision::F32))?;
    let before = subject.backend.replayed();
    let mut taps = NoTaps;
    let mut runner = subject.runner(&mut taps);
    for (slot, past) in [PROMPT + 9, PROMPT, 3].into_iter().enumerate() {
        context.start(slot, TOTAL)?;
        let prompt: Vec<u32> = (0..past).map(|at| token(at, vocab)).collect();
        context.extend(&mut runner, slot, &prompt, Role::Prompt, Logits::Last)?;
    }
    let mut got = Vec::new();
    for row in 0..ROWS {
        let mut batch = Batch::default();
        for slot in 0..3 {
            let next = token(context.length(slot), vocab);
            batch.rows.extend(context.rows(slot, &[next], Role::Generated).rows);
        }
        // Logits of some, so that those of a row do not stand at its own index.
        batch.rows[1].logits = true;
        batch.rows[2].logits = row % 2 == 0;
        let all = context.forward(&mut runner, &batch)?;
        got.extend_from_slice(&all[..vocab]);
    }
    match subject.backend.replayed() - before {
        count if count == ROWS as u64 => same("one of three", &got, &want),
        count => Err(format!("{count} of {ROWS} passes were replayed").into()),
    }
}

/// Rows of one sequence together see each other's keys, and so are not replayed.
fn parts(subject: &mut Subject<Cuda>) -> Result<(), Failure> {
    let (want, _) = fresh(subject, Precision::F32, &mut NoTaps, 1)?;
    let (got, _) = fresh(subject, Precision::F32, &mut NoTaps, 3)?;
    same("three rows at a time", &got, &want)
}

/// A recording holds addresses of a cache: two caches in turn, and one that takes the place of
/// another.
fn caches(subject: &mut Subject<Cuda>) -> Result<(), Failure> {
    let mut first = subject.context(1, feed(Precision::F32))?;
    let mut second = subject.context(2, feed(Precision::F16))?;
    let want = logits(subject, &mut first, &mut NoTaps, (PROMPT, 1))?;
    let half = logits(subject, &mut second, &mut NoTaps, (PROMPT, 1))?;
    same("the first again", &logits(subject, &mut first, &mut NoTaps, (PROMPT, 1))?, &want)?;
    drop(first);
    for _ in 0..10 {
        let mut third = subject.context(1, feed(Precision::F32))?;
        same("a new one", &logits(subject, &mut third, &mut NoTaps, (PROMPT, 1))?, &want)?;
    }
    same("the second again", &logits(subject, &mut second, &mut NoTaps, (PROMPT, 1))?, &half)
}

/// What the description says counts, not what it said when a pass was recorded.
fn edited(subject: &mut Subject<Cuda>) -> Result<(), Failure> {
    let (before, _) = fresh(subject, Precision::F32, &mut NoTaps, 1)?;
    subject.model.architecture.norm.epsilon *= 100.0;
    let (got, _) = fresh(subject, Precision::F32, &mut NoTaps, 1)?;
    let (want, _) = fresh(subject, Precision::F32, &mut composed(), 1)?;
    same("edited", &got, &want)?;
    match got == before {
        true => Err("an edited description changes nothing".into()),
        false => Ok(()),
    }
}
