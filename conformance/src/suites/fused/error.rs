//! How far a fused step is from the composed verbs, measured by what a naive pass in f16 loses: the
//! composed verbs with everything rounded to f16 that enters a product or is kept.
//!
//! Where two experts' scores nearly tie, any rounding may swap them, and the row is another one. So
//! each row is computed with an exact past; rows whose choice the naive pass's own error could have
//! turned are left out of the bound, and a third of the rows must be left.

use super::{ROWS, feed, logits, subject, tokens};
use crate::subject::{Defect, Machine, OnCuda, Subject, Wrapped};
use engine::backend::NoTaps;
use engine::backend::taps::{Recorder, Seen};
use engine::batch::Role;
use engine::forward::Logits;
use engine::kv::Precision;
use engine::profile::Profile;
use harness::{Case, Failure, Run};
use std::path::Path;

/// Positions before the generated rows: none; past a window; past one item of attention.
const PASTS: [(&str, usize); 3] =
    [("from-nothing", 0), ("past-a-window", 150), ("past-an-item", 700)];

/// How much further than the naive pass the fused step may be off, and how many of its errors in a
/// router's score two scores must lie apart to count as decided.
const TIMES_NAIVE: f64 = 2.0;
const DECIDED: f32 = 4.0;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (past, positions) in PASTS {
        for (name, kv) in [("f32", Precision::F32), ("f16", Precision::F16)] {
            let name = format!("cuda::fused::equals-composed::{past}-{name}");
            cases.push(Case::new(name, move |run| equal(positions, kv, run)));
        }
    }
    cases
}

/// A row: its logits, and the scores of each layer's experts.
struct Row {
    logits: Vec<f32>,
    scores: Vec<Vec<f32>>,
}

fn equal(past: usize, kv: Precision, run: &mut Run) -> Result<(), Failure> {
    let (mut subject, folder) = subject()?;
    let (fused, exact) = both(&mut subject, past, kv)?;
    let naive = naive(&folder.path().join("gpt-oss-fused.gguf"), past)?;
    let off = |rows: &[Row]| -> Vec<f64> {
        let pairs = rows.iter().zip(&exact);
        pairs.map(|(row, want)| error(&row.logits, &want.logits)).collect()
    };
    let naive_off = off(&naive);
    let fused_off: Vec<f64> =
        fused.iter().zip(&exact).map(|(row, want)| error(row, &want.logits)).collect();
    if fused_off.iter().all(|error| *error == 0.0) {
        return Err("bit for bit the composed verbs' logits: the fused step did not run".into());
    }
    let pairs = naive.iter().zip(&exact);
    let noise = root_mean_square(pairs.flat_map(|(row, want)| score_errors(row, want)));
    let decided: Vec<usize> =
        (0..ROWS).filter(|row| margin(&exact[*row]) > DECIDED * noise).collect();
    let worst = |errors: &[f64]| decided.iter().map(|row| errors[*row]).fold(0.0, f64::max);
    let (fused_worst, naive_worst) = (worst(&fused_off), worst(&naive_off));
    run.figure("rows decided", decided.len() as f64, "");
    run.figure("worst, fused", fused_worst, "");
    run.figure("worst, naive f16", naive_worst, "");
    // In one go each row also sees what the fused step itself left for it.
    let vocab = exact[0].logits.len();
    let free = logits(&mut subject, past, kv, Role::Generated)?;
    let wants = exact.iter().map(|row| row.logits.as_slice());
    let free = median(free.chunks(vocab).zip(wants).map(|(row, want)| error(row, want)).collect());
    let naive_free = median(naive_off.clone());
    run.figure("median in one go, fused", free, "");
    run.figure("median in one go, naive f16", naive_free, "");
    let wild = fused_off.iter().any(|error| *error >= 1.0);
    let near = fused_worst <= TIMES_NAIVE * naive_worst && free <= TIMES_NAIVE * naive_free;
    match decided.len() >= ROWS / 3 && near && !wild {
        true => Ok(()),
        false => Err(format!(
            "of {} decided rows the worst is off by {fused_worst:.2e}, a naive pass in f16 by \
             {naive_worst:.2e}; in one go the median by {free:.2e} and {naive_free:.2e}; at most \
             {TIMES_NAIVE} times as much, no row by 1, and a third of {ROWS} rows decided: {}",
            decided.len(),
            spelled(&fused_off)
        )
        .into()),
    }
}

/// Each row through the fused step and through the composed verbs, which alone leave a past.
fn both(
    subject: &mut Subject<engine::backend::cuda::Cuda>,
    past: usize,
    kv: Precision,
) -> Result<(Vec<Vec<f32>>, Vec<Row>), Failure> {
    let vocab = subject.model.architecture.n_vocab;
    let mut context = subject.context(1, feed(kv))?;
    context.start(0, 1024)?;
    let prompt = tokens(0, past, vocab);
    if past > 0 {
        let mut taps = NoTaps;
        let runner = &mut subject.runner(&mut taps);
        context.extend(runner, 0, &prompt, Role::Prompt, Logits::Last)?;
    }
    let (mut fused, mut exact) = (Vec::new(), Vec::new());
    for token in tokens(past, ROWS, vocab) {
        let length = context.length(0);
        let mut taps = NoTaps;
        let runner = &mut subject.runner(&mut taps);
        fused.push(context.extend(runner, 0, &[token], Role::Generated, Logits::All)?);
        context.cut(&subject.model, 0, length)?;
        let mut scores = Recorder::new(|tap| tap.name == "ffn_moe_logits");
        let runner = &mut subject.runner(&mut scores);
        let logits = context.extend(runner, 0, &[token], Role::Prompt, Logits::All)?;
        exact.push(Row { logits, scores: in_layers(scores.seen) });
    }
    Ok((fused, exact))
}

fn naive(path: &Path, past: usize) -> Result<Vec<Row>, Failure> {
    let wrapped = Wrapped::new(OnCuda::open()?, Defect::Half { grid: 0, leaving: false });
    let mut subject = Subject::open(wrapped, path, Profile::Reference, |_| ())?;
    let vocab = subject.model.architecture.n_vocab;
    let mut context = subject.context(1, feed(Precision::F16))?;
    context.start(0, 1024)?;
    if past > 0 {
        let prompt = tokens(0, past, vocab);
        let mut taps = NoTaps;
        let runner = &mut subject.runner(&mut taps);
        context.extend(runner, 0, &prompt, Role::Prompt, Logits::Last)?;
    }
    let mut rows = Vec::new();
    for token in tokens(past, ROWS, vocab) {
        let mut scores = Recorder::new(|tap| tap.name == "ffn_moe_logits");
        let runner = &mut subject.runner(&mut scores);
        let logits = context.extend(runner, 0, &[token], Role::Prompt, Logits::All)?;
        rows.push(Row { logits, scores: in_layers(scores.seen) });
    }
    match subject.backend.hits {
        0 => Err("the naive pass rounded nothing".into()),
        _ => Ok(rows),
    }
}

fn in_layers(seen: Vec<Seen>) -> Vec<Vec<f32>> {
    seen.into_iter().map(|seen| seen.values).collect()
}

/// How far each score is off, up to the layer in which other experts are chosen.
fn score_errors(row: &Row, want: &Row) -> Vec<f32> {
    let mut errors = Vec::new();
    for (scores, wants) in row.scores.iter().zip(&want.scores) {
        errors.extend(scores.iter().zip(wants).map(|(a, b)| a - b));
        if chosen(scores) != chosen(wants) {
            break;
        }
    }
    errors
}

fn root_mean_square(values: impl Iterator<Item = f32>) -> f32 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), x| (sum + x * x, count + 1.0));
    (sum / count).sqrt()
}

/// How far the last expert that is chosen stands before the first that is not, where they are
/// closest.
fn margin(row: &Row) -> f32 {
    let gap = |scores: &Vec<f32>| {
        let order = order(scores);
        scores[order[3]] - scores[order[4]]
    };
    row.scores.iter().map(gap).fold(f32::INFINITY, f32::min)
}

fn order(scores: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    order
}

fn chosen(scores: &[f32]) -> Vec<usize> {
    let mut chosen = order(scores)[..4].to_vec();
    chosen.sort_unstable();
    chosen
}

fn median(mut errors: Vec<f64>) -> f64 {
    errors.sort_by(f64::total_cmp);
    errors[errors.len() / 2]
}

fn spelled(errors: &[f64]) -> String {
    errors.iter().map(|error| format!("{error:.1e} ")).collect()
}

fn error(row: &[f32], want: &[f32]) -> f64 {
    let pairs = || row.iter().zip(want).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    let off: f64 = pairs().map(|(a, b)| (a - b) * (a - b)).sum();
    let size: f64 = pairs().map(|(_, b)| b * b).sum();
    let error = (off / size).sqrt();
    // What is no number must not pass as small.
    if error.is_nan() { f64::INFINITY } else { error }
}
