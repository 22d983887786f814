//! `BACKEND::golden::random::NAME` — models of random weights in awkward dimensions and in every
//! block format: our logits on the shipped file against llama.cpp's on its exact twin. Knows what
//! exact arithmetic may be off.

use super::trace::{self, Oracle, Trace};
use crate::subject::{Feed, Machine, OnCpu, OnCuda, Subject};
use engine::backend::NoTaps;
use engine::batch::Role;
use engine::forward::Logits;
use engine::profile::Profile;
use harness::vector::Budget;
use harness::{Case, Failure, Run, compare};
use std::path::Path;

/// Every case on this machine's backends.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = on::<OnCpu>();
    cases.extend(on::<OnCuda>());
    cases.push(Case::new("selftest::golden-random::another-profile-is-red", |_| another_profile()));
    cases
}

fn on<M: Machine>() -> Vec<Case> {
    // `golden::trace` is red where a model was not asked, or none is there.
    let models = trace::models(Oracle::Random).unwrap_or_default().into_iter();
    let case = |model: String| {
        let name = format!("{}::golden::random::{model}", M::NAME);
        let case = Case::new(name, move |run| logits::<M>(&model, Profile::LlamaCpp)?.record(run));
        match M::NEEDS {
            Some(needs) => case.needs(needs),
            None => case,
        }
    };
    models.map(case).collect()
}

/// A comparison that was close enough, and how far llama.cpp is on the shipped file.
pub(in crate::suites) struct Close {
    measured: compare::Measured,
    theirs: f64,
}

impl Close {
    pub(in crate::suites) fn record(&self, run: &mut Run) -> Result<(), Failure> {
        self.measured.record(run, "twin");
        run.figure("llama.cpp on the shipped file", self.theirs, "");
        match self.measured.nmse > self.theirs {
            true => Err(format!("{:e}, llama.cpp {:e}", self.measured.nmse, self.theirs).into()),
            false => Ok(()),
        }
    }
}

fn logits<M: Machine>(model: &str, profile: Profile) -> Result<Close, Failure> {
    let trace = Trace::open(Oracle::Random, model, "long")?;
    against::<M>(&trace, &trace::model_file(Oracle::Random, model), profile)
}

/// The logits of a file against a trace of it.
pub(in crate::suites) fn against<M: Machine>(
    trace: &Trace,
    file: &Path,
    profile: Profile,
) -> Result<Close, Failure> {
    let (want, width) = trace.logits()?;
    let mut subject = Subject::open(M::open()?, file, profile, |_| ())?;
    let tokens: Vec<u32> = trace.ids().iter().map(|id| *id as u32).collect();
    // llama.cpp rounds its context up, beyond what learned positions have.
    let total = trace.n_ctx().min(subject.model.architecture.n_ctx).max(tokens.len());
    let mut context = subject.context(1, Feed { total, ..Feed::whole(&tokens) })?;
    context.start(0, total)?;
    let mut taps = NoTaps;
    let runner = &mut subject.runner(&mut taps);
    let all = context.extend(runner, 0, &tokens, Role::Prompt, Logits::All)?;
    let rows = trace.rows().iter().flat_map(|row| &all[row * width..][..width]);
    let got: Vec<f32> = rows.copied().collect();
    let provenance = trace.source().get("oracle").map_or("", String::as_str);
    let measured = compare::arrays("logits", &got, &want)
        .shape(&[("row", want.len() / width), ("logit", width)])
        .provenance(provenance)
        .within(&budget(subject.model.architecture.family))?;
    Ok(Close { measured, theirs: trace.compared().nmse.into() })
}

fn budget(family: &str) -> Budget {
    let (nmse, worst_row_nmse, why) = match family {
        "gpt2" => (
            1e-7,
            1e-6,
            "an input beside a border of ggml's f16 table of GELU moves its output by 2^-11; \
             1.7e-8 in GPT-2's own shape",
        ),
        _ => (1e-9, 2e-8, "an f64 pass is 1e-11 to 2e-10 away; ten times that for f32 sums"),
    };
    Budget {
        nmse: Some(nmse),
        worst_row_nmse: Some(worst_row_nmse),
        rel: None,
        abs: None,
        why: why.into(),
    }
}

/// The reference keeps what llama.cpp rounds of YaRN: on this model the two must not agree.
fn another_profile() -> Result<(), Failure> {
    match logits::<OnCpu>("odd-gpt-oss", Profile::Reference) {
        Ok(close) => Err(format!("only {:e} apart", close.measured.nmse).into()),
        Err(failure) if failure.text().contains("nmse") => Ok(()),
        Err(failure) => Err(failure),
    }
}
