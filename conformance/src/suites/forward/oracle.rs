//! A recorded trace as something to compare with, and the prompt it answers. Knows both sides'
//! types, so that neither has to know the other's.

use super::super::golden::trace::{self, Trace, Values};
use crate::subject::{Machine, Subject};
use crate::trace::{Graph, Kept, Oracle, Recorded};
use engine::adapters::Architecture;
use engine::profile::Profile;
use harness::{Failure, roots};
use std::path::PathBuf;

/// A question, and who answered it how.
pub(super) struct Question {
    pub(super) tokens: Vec<u32>,
    /// Positions that the oracle's context had, which choose LongRoPE's factors.
    pub(super) total: usize,
    pub(super) oracle: Oracle,
    pub(super) trace: Trace,
}

/// Where a fixture lies.
pub(super) fn model_file(model: &str) -> PathBuf {
    roots::project().join("golden/models").join(format!("{model}.gguf"))
}

impl Question {
    /// What `who` was asked about a model.
    pub(super) fn open(who: trace::Oracle, model: &str, prompt: &str) -> Result<Question, Failure> {
        let trace = Trace::open(who, model, prompt)?;
        let mut oracle = Oracle { provenance: provenance(&trace), ..Oracle::default() };
        for (name, summary) in trace.summaries() {
            let samples = summary.places().into_iter().zip(summary.samples.iter().copied());
            let kept = Kept::Summary {
                length: summary.shape.iter().product(),
                rms: summary.rms,
                samples: samples.collect(),
            };
            let recorded = Recorded { op: summary.op.clone(), kept };
            oracle.taps.insert(name.clone(), recorded);
        }
        let kept: Vec<String> = trace.kept().map(str::to_owned).collect();
        let whole = trace.rows().len() == trace.ids().len();
        for name in kept {
            let tap = trace.tap(&name)?;
            let values = floats(tap.values);
            let kept = match whole {
                true => Kept::All(values),
                false => Kept::Rows { rows: trace.rows().to_vec(), values },
            };
            // Rows are better than a summary of the same tap, which knows the operation.
            let op = oracle.taps.remove(&name).map_or(tap.op, |summary| summary.op);
            oracle.taps.insert(name, Recorded { op, kept });
        }
        let tokens = trace.ids().iter().map(|id| *id as u32).collect();
        Ok(Question { tokens, total: trace.n_ctx(), oracle, trace })
    }

    /// What a comparison may assume.
    pub(super) fn graph<'g>(&self, architecture: &'g Architecture) -> Graph<'g> {
        Graph { family: architecture.family, tokens: self.tokens.len() }
    }
}

fn floats(values: Values) -> Vec<f32> {
    match values {
        Values::Floats(values) => values,
        Values::Ints(values) => values.into_iter().map(|value| value as f32).collect(),
    }
}

fn provenance(trace: &Trace) -> String {
    let words = ["oracle", "instruction-set", "settings", "threads"];
    let words = words.iter().filter_map(|word| trace.source().get(*word));
    words.map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// Models and prompts that were recorded. None at all is for `golden::trace` to judge.
pub(super) fn recorded(who: trace::Oracle) -> Vec<(String, String)> {
    let models = trace::models(who).unwrap_or_default().into_iter();
    let prompts = |model: String| {
        let prompts = trace::prompts(who, &model).unwrap_or_default().into_iter();
        prompts.map(move |prompt| (model.clone(), prompt))
    };
    models.flat_map(prompts).collect()
}

/// The fixture `model` on a fresh machine.
pub(super) fn subject<M: Machine>(
    model: &str,
    profile: Profile,
) -> Result<Subject<M::Backend>, Failure> {
    Ok(Subject::open(M::open()?, &model_file(model), profile, |_| ())?)
}

/// Marks a case with what its machine needs.
pub(super) fn on<M: Machine>(case: harness::Case) -> harness::Case {
    match M::NEEDS {
        Some(needs) => case.needs(needs),
        None => case,
    }
}
