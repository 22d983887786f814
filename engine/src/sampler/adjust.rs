//! What moves single logits before anything is chosen: bias and penalties. Sums are taken in f64
//! and rounded once; what leaves f32's range stays at its end, so the row stays finite.

use super::{SamplerParams, Step};
use crate::error::{Error, Result};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The row with bias and penalties; the row itself where there are none.
pub(super) fn adjusted<'a>(step: &Step<'a>, params: &SamplerParams) -> Result<Cow<'a, [f32]>> {
    let counts = counts(step, params)?;
    let mut logits = Cow::Borrowed(step.logits);
    if counts.is_empty() && params.logit_bias.is_empty() {
        return Ok(logits);
    }
    let row = logits.to_mut();
    for (id, bias) in &params.logit_bias {
        let logit = &mut row[*id as usize];
        *logit = in_range(f64::from(*logit) + f64::from(*bias));
    }
    for (id, count) in counts {
        let logit = &mut row[id as usize];
        *logit = penalised(*logit, count, params);
    }
    Ok(logits)
}

/// How often each id stands in the window; nothing if no penalty asks.
fn counts(step: &Step, params: &SamplerParams) -> Result<BTreeMap<u32, u32>> {
    let mut counts = BTreeMap::new();
    let penalties = (params.repetition_penalty, params.frequency_penalty, params.presence_penalty);
    if penalties == (1.0, 0.0, 0.0) {
        return Ok(counts);
    }
    let from = step.history.len().saturating_sub(params.penalty_window);
    for id in &step.history[from..] {
        if *id as usize >= step.logits.len() {
            let range = format!("of tokens below {}", step.logits.len());
            return Err(Error::Parameter {
                name: "history",
                value: format!("of token {id}"),
                range,
            });
        }
        *counts.entry(*id).or_insert(0) += 1;
    }
    Ok(counts)
}

/// llama.cpp's order: repetition first, because it scales what the others then shift.
fn penalised(logit: f32, count: u32, params: &SamplerParams) -> f32 {
    let (logit, repetition) = (f64::from(logit), f64::from(params.repetition_penalty));
    let scaled = if logit > 0.0 { logit / repetition } else { logit * repetition };
    let frequency = f64::from(count) * f64::from(params.frequency_penalty);
    in_range(scaled - (frequency + f64::from(params.presence_penalty)))
}

fn in_range(logit: f64) -> f32 {
    logit.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}
