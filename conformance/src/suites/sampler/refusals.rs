//! `sampler::refuses::` — rows and parameters from which nothing may be chosen: an error that says
//! which and how many, and never a token.

use engine::error::Error;
use engine::sampler::{self, SamplerParams, Step};
use harness::{Case, Failure};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("sampler::refuses::non-finite-rows", |_| non_finite()),
        Case::new("sampler::refuses::every-place", |_| every_place()),
        Case::new("sampler::refuses::parameters", |_| parameters()),
        Case::new("sampler::refuses::history", |_| history()),
    ]
}

fn refusal(logits: &[f32], params: &SamplerParams, history: &[u32]) -> Result<Error, Failure> {
    let step = Step { logits, history, seed: 1, position: 41 };
    match sampler::sample(&step, params) {
        Ok(choice) => Err(format!("{params:?}: accepted: {choice:?}").into()),
        Err(error) => Ok(error),
    }
}

fn says(error: &Error, parts: &[&str]) -> Result<(), Failure> {
    let text = error.to_string();
    match parts.iter().find(|part| !text.contains(**part)) {
        None => Ok(()),
        Some(part) => Err(format!("says {text:?}, must say {part:?}").into()),
    }
}

fn non_finite() -> Result<(), Failure> {
    let all = [SamplerParams::greedy(), SamplerParams::default()];
    for (odd, value) in [("nan", f32::NAN), ("inf", f32::INFINITY), ("-inf", f32::NEG_INFINITY)] {
        for params in &all {
            let error = refusal(&[0.0, 1.0, value, 2.0, value], params, &[])?;
            if !matches!(error, Error::BadLogits { position: 41, count: 2, n_vocab: 5, first: 2 }) {
                return Err(format!("{odd}: {error:?}").into());
            }
            says(&error, &["position 41", "2 of 5", "token 2"])?;
        }
    }
    says(&refusal(&[], &SamplerParams::greedy(), &[])?, &["logits", "no tokens"])
}

/// A row longer than all vectors and blocks; one odd value anywhere is seen.
fn every_place() -> Result<(), Failure> {
    let mut row = vec![0.5_f32; 301];
    for place in 0..row.len() {
        row[place] = f32::NAN;
        let error = refusal(&row, &SamplerParams::greedy(), &[])?;
        if !matches!(error, Error::BadLogits { count: 1, first, .. } if first == place) {
            return Err(format!("NaN at {place}: {error:?}").into());
        }
        row[place] = 0.5;
    }
    Ok(())
}

fn parameters() -> Result<(), Failure> {
    let usual = SamplerParams::default;
    let bias = |id, add| SamplerParams { logit_bias: vec![(id, add)], ..usual() };
    let mut rows: Vec<(SamplerParams, &[&str])> = vec![
        (bias(4, 1.0), &["logit_bias of token 4", "below 4"]),
        (bias(1, 100.5), &["logit_bias of token 1: 100.5", "-100 to 100"]),
        (bias(1, f32::NAN), &["logit_bias of token 1: NaN", "-100 to 100"]),
        (
            SamplerParams { logit_bias: vec![(2, 0.0), (2, 1.0)], ..usual() },
            &["logit_bias of token 2 twice"],
        ),
        (SamplerParams { top_logprobs: Some(21), ..usual() }, &["top_logprobs 21", "at most 20"]),
    ];
    for odd in [-0.1, 2.1, 1e38, f32::NAN, f32::INFINITY] {
        let range: &[&str] = &["temperature", "from 0 to 2"];
        rows.push((SamplerParams { temperature: odd, ..usual() }, range));
    }
    for odd in [-0.1, 1.000_000_1, f32::NAN] {
        rows.push((SamplerParams { top_p: odd, ..usual() }, &["top_p", "from 0 to 1"]));
        rows.push((SamplerParams { min_p: odd, ..usual() }, &["min_p", "from 0 to 1"]));
    }
    for odd in [-2.1, 2.1, f32::NAN] {
        let (frequency, presence): (&[&str], &[&str]) =
            (&["frequency_penalty", "from -2 to 2"], &["presence_penalty", "from -2 to 2"]);
        rows.push((SamplerParams { frequency_penalty: odd, ..usual() }, frequency));
        rows.push((SamplerParams { presence_penalty: odd, ..usual() }, presence));
    }
    for odd in [0.0, -1.0, 10.5, f32::NAN] {
        let range: &[&str] = &["repetition_penalty", "above 0 and at most 10"];
        rows.push((SamplerParams { repetition_penalty: odd, ..usual() }, range));
    }
    for (params, parts) in rows {
        let error = refusal(&[0.0, 1.0, 2.0, 3.0], &params, &[])?;
        if !matches!(error, Error::Parameter { .. }) || error.exit_code() != 2 {
            return Err(format!("{params:?}: {error:?}").into());
        }
        says(&error, parts)?;
    }
    Ok(())
}

/// An id that the vocabulary does not have can only be a mix-up of models.
fn history() -> Result<(), Failure> {
    let params = SamplerParams { presence_penalty: 1.0, ..SamplerParams::default() };
    let error = refusal(&[0.0, 1.0], &params, &[0, 2])?;
    says(&error, &["history", "token 2", "below 2"])
}
