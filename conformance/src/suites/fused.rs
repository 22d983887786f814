//! `cuda::fused::`: a generated row goes through a fused step where the model has one. It must give
//! what the composed verbs give, whose past it shares, and the same bits in any company.

use crate::models;
use crate::subject::{Feed, Machine, OnCuda, Subject};
use engine::backend::NoTaps;
use engine::backend::cuda::Cuda;
use engine::batch::{Batch, Role};
use engine::forward::{Context, Logits};
use engine::kv::Precision;
use engine::profile::Profile;
use harness::{Case, Failure};
use tempfile::TempDir;

/// Positions before the generated rows: none; past a window; past one item of attention.
const PASTS: [(&str, usize); 3] =
    [("from-nothing", 0), ("past-a-window", 150), ("past-an-item", 700)];

/// Generated rows of each case.
const ROWS: usize = 24;

/// Relative error of the median row's logits. The fused step rounds what it multiplies to f16,
/// 2^-12 of a value on average, a dozen times one after the other; the composed verbs take f32.
const TYPICAL: f64 = 1e-2;

/// Of the worst row: where two experts' scores nearly tie, rounding may swap them, and an expert of
/// small share changes a row by some percent. A wrong kernel is wrong by 1.
const WORST: f64 = 0.3;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (past, positions) in PASTS {
        for (name, kv) in [("f32", Precision::F32), ("f16", Precision::F16)] {
            let name = format!("cuda::fused::equals-composed::{past}-{name}");
            cases.push(Case::new(name, move |_| equal(positions, kv)));
        }
    }
    cases.push(Case::new("cuda::fused::bits-do-not-depend-on-company", |_| company()));
    cases.into_iter().map(|case| case.needs("cuda")).collect()
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
    Feed { max_rows: 64, kv, total: 1024 }
}

fn tokens(from: usize, count: usize, vocab: usize) -> Vec<u32> {
    (from..from + count).map(|at| (at * 7919 % vocab) as u32).collect()
}

/// The logits of `ROWS` rows with `past` positions before them, which are a prompt.
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

fn equal(past: usize, kv: Precision) -> Result<(), Failure> {
    let (mut subject, _folder) = subject()?;
    let vocab = subject.model.architecture.n_vocab;
    let fused = logits(&mut subject, past, kv, Role::Generated)?;
    let composed = logits(&mut subject, past, kv, Role::Prompt)?;
    if fused == composed {
        return Err("bit for bit the composed verbs' logits: the fused step did not run".into());
    }
    let rows = fused.chunks(vocab).zip(composed.chunks(vocab));
    let mut errors: Vec<f64> = rows.map(|(row, want)| error(row, want)).collect();
    errors.sort_by(f64::total_cmp);
    let (median, worst) = (errors[ROWS / 2], errors[ROWS - 1]);
    match median <= TYPICAL && worst <= WORST {
        true => Ok(()),
        false => Err(format!(
            "relative error of the median row {median:.2e}, at most {TYPICAL:.0e}; \
             of the worst {worst:.2e}, at most {WORST}"
        )
        .into()),
    }
}

fn error(row: &[f32], want: &[f32]) -> f64 {
    let pairs = || row.iter().zip(want).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    let off: f64 = pairs().map(|(a, b)| (a - b) * (a - b)).sum();
    let size: f64 = pairs().map(|(_, b)| b * b).sum();
    let error = (off / size).sqrt();
    // What is no number must not pass as small.
    if error.is_nan() { f64::INFINITY } else { error }
}

/// Three sequences side by side give what each gives alone.
fn company() -> Result<(), Failure> {
    let (mut subject, _folder) = subject()?;
    let vocab = subject.model.architecture.n_vocab;
    let alone = logits(&mut subject, 0, Precision::F32, Role::Generated)?;
    let mut context = subject.context(3, feed(Precision::F32))?;
    (0..3).try_for_each(|slot| context.start(slot, 1024))?;
    let mut taps = NoTaps;
    let mut runner = subject.runner(&mut taps);
    for (at, token) in tokens(0, ROWS, vocab).into_iter().enumerate() {
        let batch = side_by_side(&context, token);
        let together = context.forward(&mut runner, &batch)?;
        for (slot, row) in together.chunks(vocab).enumerate() {
            if row != &alone[at * vocab..(at + 1) * vocab] {
                let why = format!("row {at} of slot {slot} differs from the same row alone");
                return Err(why.into());
            }
        }
    }
    Ok(())
}

fn side_by_side(context: &Context<Cuda>, token: u32) -> Batch {
    let mut batch = Batch::default();
    for slot in 0..3 {
        batch.rows.extend(context.rows(slot, &[token], Role::Generated).rows);
    }
    batch.rows.iter_mut().for_each(|row| row.logits = true);
    batch
}
