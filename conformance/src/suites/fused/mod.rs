//! `cuda::fused::`: a generated row goes through a fused step where the model has one. It must give
//! what the composed verbs give, whose past it shares, the same bits in any company, and the ids
//! that the sampler would choose.

mod error;
mod follow;

use crate::models;
use crate::subject::{Feed, Machine, OnCuda, Subject, loaded_kernels};
use engine::backend::NoTaps;
use engine::backend::cuda::{Cuda, Owner};
use engine::batch::{Batch, Role};
use engine::forward::{Context, Logits};
use engine::kv::Precision;
use engine::loader::gguf::TensorInfo;
use engine::profile::Profile;
use harness::{Case, Failure};
use tempfile::TempDir;

/// Generated rows of each case.
const ROWS: usize = 24;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = error::cases();
    cases.extend(follow::cases());
    for (others, name) in [(1, "one"), (6, "six"), (32, "thirty-two")] {
        let name = format!("cuda::fused::bits-do-not-depend-on-company::{name}");
        cases.push(Case::new(name, move |_| company(others)).requirements(["C19"]));
    }
    cases.push(Case::new("cuda::fused::weights-are-held-once", |_| once()));
    let on_cuda = cases.into_iter().map(|case| case.needs("cuda"));
    on_cuda.chain(follow::on_cpu()).collect()
}

/// The decode layout takes the place of the file's: what is held is what the file holds, and while
/// loading a layer's gate and up at most besides.
fn once() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let file = models::open("gpt-oss-fused", 0, folder.path())?;
    let size = |info: &TensorInfo| file.view(info).data.len() as u64;
    let bytes: u64 = file.tensors().iter().map(size).sum();
    let largest = file.tensors().iter().map(size).max().unwrap_or(0);
    drop(file);
    let context = loaded_kernels()?.context().clone();
    let before = context.ledger();
    let (subject, _folder) = subject()?;
    let after = context.ledger();
    let held = (after.held(Owner::Weights) - before.held(Owner::Weights)) as u64;
    drop(subject);
    // Vectors are kept in f32, whatever the file has.
    if held < bytes || held > bytes + bytes / 50 {
        return Err(format!("{held} bytes of weights are held, {bytes} are in the file").into());
    }
    let peak = (after.peak() - before.total()) as u64;
    match peak <= held + 2 * largest + (1 << 20) || after.peak() == before.peak() {
        true => Ok(()),
        false => Err(format!("{peak} bytes at once for {held}, largest {largest}").into()),
    }
}

/// The model, and the folder its file is in.
fn subject() -> Result<(Subject<Cuda>, TempDir), Failure> {
    let folder = tempfile::tempdir()?;
    models::open("gpt-oss-fused", 0, folder.path())?;
    let path = folder.path().join("gpt-oss-fused.gguf");
    let subject = Subject::open(OnCuda::open()?, &path, Profile::Reference, |_| ())?;
    Ok((subject, folder))
}

fn feed(kv: Precision) -> Feed {
    Feed { max_rows: 128, kv, total: 1024 }
}

fn tokens(from: usize, count: usize, vocab: usize) -> Vec<u32> {
    (from..from + count).map(|at| (at * 7919 % vocab) as u32).collect()
}

/// The logits of `ROWS` rows, one at a time, with `past` positions before them, which are a prompt.
fn logits(
    subject: &mut Subject<Cuda>,
    past: usize,
    kv: Precision,
    role: Role,
) -> Result<Vec<f32>, Failure> {
    let vocab = subject.model.architecture.n_vocab;
    let mut context = subject.context(1, feed(kv))?;
    context.start(0, 1024)?;
    let mut taps = NoTaps;
    let mut runner = subject.runner(&mut taps);
    if past > 0 {
        let prompt = tokens(0, past, vocab);
        context.extend(&mut runner, 0, &prompt, Role::Prompt, Logits::Last)?;
    }
    let mut all = Vec::new();
    for token in tokens(past, ROWS, vocab) {
        all.extend(context.extend(&mut runner, 0, &[token], role, Logits::All)?);
    }
    Ok(all)
}

/// A generated row beside others, of which some are generated too and some are read: before it,
/// behind it, and in a sequence that does both at once.
fn company(others: usize) -> Result<(), Failure> {
    let (mut subject, _folder) = subject()?;
    let vocab = subject.model.architecture.n_vocab;
    let alone = logits(&mut subject, 0, Precision::F32, Role::Generated)?;
    let slots = others + 1;
    let ours = others / 2;
    let mut context = subject.context(slots, feed(Precision::F32))?;
    (0..slots).try_for_each(|slot| context.start(slot, 1024))?;
    let mut taps = NoTaps;
    let mut runner = subject.runner(&mut taps);
    for (at, token) in tokens(0, ROWS, vocab).into_iter().enumerate() {
        let (batch, wanted) = side_by_side(&context, (ours, slots), token);
        let together = context.forward(&mut runner, &batch)?;
        let row = &together[wanted * vocab..(wanted + 1) * vocab];
        if row != &alone[at * vocab..(at + 1) * vocab] {
            return Err(format!("row {at} differs from the same row alone").into());
        }
    }
    Ok(())
}

/// The batch, and which of its rows of logits is ours.
fn side_by_side(
    context: &Context<Cuda>,
    (ours, slots): (usize, usize),
    token: u32,
) -> (Batch, usize) {
    let mut batch = Batch::default();
    let mut wanted = 0;
    for slot in 0..slots {
        let mut rows = match (slot == ours, slot % 3) {
            (true, _) | (false, 0) => context.rows(slot, &[token], Role::Generated).rows,
            (false, 1) => context.rows(slot, &[token, 5], Role::Prompt).rows,
            (false, _) => {
                let mut rows = context.rows(slot, &[token, 9, token], Role::Prompt).rows;
                rows[1].role = Role::Generated;
                rows
            }
        };
        rows.iter_mut().for_each(|row| row.logits = slot != 1);
        if slot < ours {
            wanted += rows.iter().filter(|row| row.logits).count();
        }
        batch.rows.extend(rows);
    }
    (batch, wanted)
}
