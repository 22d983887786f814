//! A prompt from ids to logits, every tap on the way compared in order, so that the first bad one
//! is where the defect is or has just been passed on. Then what users would notice: the likeliest
//! token, and the text that follows.

use super::super::golden::trace::{self, Oracle};
use super::oracle::{Question, model_file, on, recorded, subject};
use super::{bounds, budget, tap_budget};
use crate::subject::{Defect, Machine, OnCpu, Subject, Wrapped};
use crate::trace::judge;
use engine::backend::{Backend, NoTaps};
use engine::batch::Role;
use engine::forward::Logits;
use engine::profile::Profile;
use harness::vector::Budget;
use harness::{Case, Failure, Run};

/// The owner's criterion: as many tokens must be the oracle's.
const TOP_1: f64 = 0.95;
/// The owner's criterion: the direction of a row of logits.
const COSINE: f64 = 0.99;

pub(super) fn cases<M: Machine>() -> Vec<Case> {
    let mut cases = Vec::new();
    for (model, prompt) in recorded(Oracle::LlamaCpp) {
        let name = |what: &str| format!("{}::golden::{model}::{prompt}::{what}", M::NAME);
        let (m, p) = (model.clone(), prompt.clone());
        cases.push(Case::new(name("chained"), move |run| chained::<M>(run, &m, &p)));
        let (m, p) = (model.clone(), prompt.clone());
        cases.push(Case::new(name("logits"), move |run| logits::<M>(run, &m, &p)));
    }
    for (model, prompt) in recorded(Oracle::Transformers) {
        let name = format!("{}::golden::{model}::{prompt}::transformers", M::NAME);
        cases.push(Case::new(name, move |run| transformers::<M>(run, &model, &prompt)));
    }
    let models: std::collections::BTreeSet<_> =
        recorded(Oracle::LlamaCpp).into_iter().map(|(model, _)| model).collect();
    for model in models {
        let name = format!("{}::golden::{model}::greedy", M::NAME);
        cases.push(Case::new(name, move |run| greedy::<M>(run, &model)));
    }
    cases.into_iter().map(on::<M>).collect()
}

/// Of a machine that rounds: its logits and its texts. What lies between is judged op by op.
pub(super) fn rounded<M: Machine>() -> Vec<Case> {
    let whole = |case: &Case| ["::logits", "::greedy"].iter().any(|end| case.name.ends_with(end));
    cases::<M>().into_iter().filter(whole).collect()
}

/// Passes in f16 that a machine that rounds is measured by.
const DRAWS: u8 = 4;

/// What a machine that rounds may be away from the twin: twice naive passes in f16, so four times
/// their squared error. A row's logits are mostly moved in one direction, by a number that is near
/// normal: sixteen times the mean of its squares is four times its deviation.
fn twice_naive(
    question: &Question,
    model: &str,
    want: &[f32],
    width: usize,
) -> Result<Budget, Failure> {
    let (mut nmse, mut worst_row) = (0.0, 0.0);
    for grid in 0..DRAWS {
        let naive = Wrapped::new(OnCpu::open()?, Defect::Half { grid, leaving: true });
        let mut subject = Subject::open(naive, &model_file(model), Profile::LlamaCpp, |_| ())?;
        let got = rows_of(&mut subject, question, width)?;
        let any = bounds(1.0, 1.0, "anything");
        let measured = compared(&got, want, width, question).within(&any)?;
        nmse += measured.nmse / f64::from(DRAWS);
        worst_row += measured.worst_row_nmse / f64::from(DRAWS);
    }
    let why = "twice what four naive passes in f16 are off, and a row four times";
    Ok(bounds(4.0 * nmse, 16.0 * worst_row, why))
}

fn chained<M: Machine>(run: &mut Run, model: &str, prompt: &str) -> Result<(), Failure> {
    let question = Question::open(Oracle::LlamaCpp, model, prompt)?;
    let mut subject = subject::<M>(model, Profile::LlamaCpp)?;
    let seen = subject.trace(&question.tokens, question.total)?;
    let architecture = &subject.model.architecture;
    let graph = question.graph(architecture);
    let agreement = judge(&seen, &question.oracle, graph, &tap_budget(architecture.family))
        .map_err(|red| red.failure)?;
    run.figure("taps", agreement.compared as f64, "");
    run.figure("worst nmse", agreement.worst.0, "");
    Ok(())
}

/// Logits against the twin's: as close as exact arithmetic is, and never further away than
/// llama.cpp itself is on the shipped file.
fn logits<M: Machine>(run: &mut Run, model: &str, prompt: &str) -> Result<(), Failure> {
    let question = Question::open(Oracle::LlamaCpp, model, prompt)?;
    let mut subject = subject::<M>(model, Profile::LlamaCpp)?;
    let (want, width) = question.trace.logits()?;
    let got = rows_of(&mut subject, &question, width)?;
    let budget = match M::ROUNDED {
        true => twice_naive(&question, model, &want, width)?,
        false => budget(subject.model.architecture.family),
    };
    let measured = compared(&got, &want, width, &question).within(&budget)?;
    measured.record(run, "twin");
    let (top_1, cosine) = (same_top(&got, &want, width), worst_cosine(&got, &want, width));
    run.figure("top-1", top_1, "");
    run.figure("worst cosine", cosine, "");
    if top_1 < TOP_1 || cosine < COSINE {
        let detail = format!("top-1 {top_1} of {TOP_1}, worst cosine {cosine} of {COSINE}");
        return Err(detail.into());
    }
    // A file in f32 is its own twin: there is nothing for llama.cpp to lose.
    let theirs = f64::from(question.trace.compared().nmse);
    run.figure("llama.cpp on the shipped file", theirs, "");
    // A file in f16 costs llama.cpp nothing, and who rounds is judged beside a plain pass.
    if measured.nmse > theirs && theirs > 0.0 && !M::ROUNDED {
        let ours = measured.nmse;
        return Err(format!("{ours:e} from the twin, llama.cpp is {theirs:e}").into());
    }
    Ok(())
}

/// The second oracle, which judges the model's own definition.
fn transformers<M: Machine>(run: &mut Run, model: &str, prompt: &str) -> Result<(), Failure> {
    let question = Question::open(Oracle::Transformers, model, prompt)?;
    let mut subject = subject::<M>(model, Profile::Reference)?;
    let (want, width) = question.trace.logits()?;
    let got = rows_of(&mut subject, &question, width)?;
    let why = "the library turns by angles in f32, off by 6e-8 of a few hundred radians";
    let budget = bounds(1e-8, 1e-7, why);
    compared(&got, &want, width, &question).within(&budget)?.record(run, "transformers");
    Ok(())
}

fn compared<'a>(
    got: &'a [f32],
    want: &'a [f32],
    width: usize,
    question: &'a Question,
) -> harness::compare::Comparison<'a, f32> {
    harness::compare::arrays("logits", got, want)
        .shape(&[("row", want.len() / width), ("logit", width)])
        .provenance(&question.oracle.provenance)
}

/// Logits of the rows that the oracle kept.
fn rows_of<B: Backend>(
    subject: &mut Subject<B>,
    question: &Question,
    width: usize,
) -> Result<Vec<f32>, Failure> {
    let all = subject.logits_of(&question.tokens, question.total)?;
    let rows = question.trace.rows().iter();
    Ok(rows.flat_map(|row| &all[row * width..(row + 1) * width]).copied().collect())
}

fn top(row: &[f32]) -> usize {
    let better = |best: usize, at: usize| if row[at] > row[best] { at } else { best };
    (0..row.len()).fold(0, better)
}

fn same_top(got: &[f32], want: &[f32], width: usize) -> f64 {
    let pairs = got.chunks_exact(width).zip(want.chunks_exact(width));
    let same = pairs.clone().filter(|(got, want)| top(got) == top(want)).count();
    same as f64 / pairs.count() as f64
}

fn worst_cosine(got: &[f32], want: &[f32], width: usize) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let cosine = |(a, b): (&[f32], &[f32])| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    let pairs = got.chunks_exact(width).zip(want.chunks_exact(width));
    pairs.map(cosine).fold(1.0, f64::min)
}

/// Always the likeliest token, as far as the oracle went. Where the oracle's two best were closer
/// than the budget could tell apart, either may follow, and what comes after is another text.
fn greedy<M: Machine>(run: &mut Run, model: &str) -> Result<(), Failure> {
    const TIE: f32 = 1e-3;
    let mut subject = Subject::open(M::open()?, &model_file(model), Profile::LlamaCpp, |_| ())?;
    let (mut equal, mut told) = (0, 0);
    for continuation in trace::continuations(model)? {
        let prompt: Vec<u32> = continuation.prompt.iter().map(|id| *id as u32).collect();
        let total = prompt.len() + continuation.ids.len();
        let mut context = subject.context_of(&prompt, total)?;
        let mut taps = NoTaps;
        let mut role = Role::Prompt;
        let mut next = prompt;
        for (at, (want, margin)) in continuation.ids.iter().zip(&continuation.margins).enumerate() {
            let runner = &mut subject.runner(&mut taps);
            let logits = context.extend(runner, 0, &next, role, Logits::Last)?;
            let got = top(&logits) as i32;
            told += 1;
            if got != *want && *margin > TIE {
                let text = &continuation.text;
                let detail = format!(
                    "{text:?}: token {at} is {got}, the oracle has {want} by a margin of {margin}"
                );
                return Err(detail.into());
            }
            equal += usize::from(got == *want);
            // Go on with the oracle's, so that a tie does not end the comparison.
            (next, role) = (vec![*want as u32], Role::Generated);
        }
    }
    run.figure("tokens", told as f64, "");
    run.figure("equal", equal as f64 / told as f64, "");
    Ok(())
}
