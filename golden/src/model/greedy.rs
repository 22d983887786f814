//! What llama.cpp says when it always takes the likeliest token, and how sure it was. Knows no file
//! but the layout of its snapshot.

use crate::Result;
use crate::llama::Model;
use crate::llama::session::{Rows, Session, Settings};
use std::fmt::Write;

/// One token taken.
struct Step {
    id: i32,
    /// The likeliest token's logit less the second's.
    margin: f32,
}

/// Continues every text; the body of a snapshot.
pub(super) fn snapshot(model: &Model, texts: &[String], most: usize) -> Result<String> {
    let mut all = String::new();
    for text in texts {
        let prompt = model.tokenize(text, true, true)?;
        let steps = continuation(model, &prompt, most)?;
        let ids: Vec<i32> = steps.iter().map(|step| step.id).collect();
        let margins: Vec<_> = steps.iter().map(|step| format!("{:.5}", step.margin)).collect();
        let least = steps.iter().map(|step| step.margin).fold(f32::INFINITY, f32::min);
        writeln!(all, "=== {}", serde_json::to_string(text)?)?;
        writeln!(all, "prompt:  {}", joined(&prompt))?;
        writeln!(all, "ids:     {}", joined(&ids))?;
        writeln!(all, "margins: {}", margins.join(" "))?;
        writeln!(all, "least:   {least:.5}")?;
        writeln!(all, "text:    {}", serde_json::to_string(&model.text(&ids)?)?)?;
    }
    Ok(all)
}

fn joined(ids: &[i32]) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(" ")
}

fn continuation(model: &Model, prompt: &[i32], most: usize) -> Result<Vec<Step>> {
    let mut session = Session::new(model, Settings::exact(prompt.len() + most), None)?;
    let mut steps = Vec::new();
    let mut logits = session.decode(prompt, Rows::Last)?;
    loop {
        let step = pick(&logits)?;
        let id = step.id;
        steps.push(step);
        if steps.len() == most || model.ends(id) {
            return Ok(steps);
        }
        logits = session.decode(&[id], Rows::Last)?;
    }
}

/// The first of the largest, as every sampler of llama.cpp's picks it.
fn pick(logits: &[f32]) -> Result<Step> {
    if logits.iter().any(|logit| !logit.is_finite()) {
        return Err("a logit is not finite".into());
    }
    let (mut best, mut second) = (0, f32::NEG_INFINITY);
    for (id, logit) in logits.iter().enumerate().skip(1) {
        if *logit > logits[best] {
            (best, second) = (id, logits[best]);
        } else {
            second = second.max(*logit);
        }
    }
    Ok(Step { id: i32::try_from(best)?, margin: logits[best] - second })
}
