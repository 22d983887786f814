//! `sampler::` — a row of logits becomes a token by the rules, with the probabilities they say, and
//! by nothing else. The vectors lie in `vectors/sampler`; here is what needs many inputs.

mod properties;
mod refusals;
mod statistics;
mod vectors;

pub(super) use vectors::{PhiloxBlock, SamplerStep};

use crate::suites::vectors::cases_under;
use harness::{Case, Failure, Run, roots};
use std::sync::OnceLock;

pub(super) fn cases() -> Vec<Case> {
    let areas = [properties::cases(), refusals::cases(), statistics::cases()];
    areas.into_iter().flatten().collect()
}

/// The reference may judge the engine once every vector has judged the reference.
fn reference_is_judged() -> Result<(), Failure> {
    static JUDGED: OnceLock<Result<(), String>> = OnceLock::new();
    let judged = JUDGED.get_or_init(|| {
        let cases = cases_under(&roots::project().join("vectors/sampler"));
        if cases.len() < 10 {
            return Err(format!("only {} vectors under vectors/sampler", cases.len()));
        }
        cases.iter().try_for_each(|case| {
            (case.body)(&mut Run::default()).map_err(|e| format!("{}: {}", case.name, e.text()))
        })
    });
    judged.as_ref().map_err(|why| format!("the reference is not judged: {why}").into()).copied()
}
