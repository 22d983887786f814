//! Which ids a model is asked about: a short prompt, a long one, a far one. Knows what makes a
//! prompt long enough to feel a window or a stretched rotation.

use super::inputs::{Questions, corpus};
use crate::Result;
use crate::llama::Model;
use crate::random::Random;
use std::collections::BTreeSet;

pub(super) struct Prompt {
    pub(super) name: &'static str,
    pub(super) ids: Vec<i32>,
    /// Rows whose values are kept.
    pub(super) rows: Vec<usize>,
    /// Every tap in full except these, instead of digests and chosen rows.
    pub(super) full: bool,
    pub(super) without: Vec<String>,
}

/// Beyond the place where something changes, far enough to see that it did.
const BEYOND: usize = 64;

pub(super) fn all(model: &Model, questions: &Questions) -> Result<Vec<Prompt>> {
    let mut short = model.tokenize(&questions.short, true, true)?;
    short.truncate(questions.short_tokens);
    let text = model.tokenize(&corpus()?, true, false)?;
    let changes = changes(model)?;
    let room = model.n_ctx_train();
    let latest = changes.iter().max().map_or(0, |change| change + BEYOND);
    let long = questions.long_tokens.max(latest).min(room);
    let mut prompts =
        vec![whole(short, questions), prompt("long", &text, long, questions.long_rows, &changes)?];
    if room >= questions.far_tokens {
        prompts.push(prompt("far", &text, questions.far_tokens, questions.far_rows, &changes)?);
    }
    Ok(prompts)
}

/// Tokens of the long prompt of a model without a vocabulary, and rows kept of it.
const RANDOM: (usize, usize) = (48, 12);

/// Random ids, where there is no vocabulary to make a text of.
pub(super) fn of_ids(model: &Model) -> Result<Prompt> {
    let mut random = Random::new(0, "prompt");
    let (length, kept) = RANDOM;
    let below = model.n_vocab() as u64;
    let ids: Vec<i32> = (0..length).map(|_| random.below(below) as i32).collect();
    prompt("long", &ids, length, kept, &changes(model)?)
}

fn whole(ids: Vec<i32>, questions: &Questions) -> Prompt {
    let without = questions.short_without.clone();
    Prompt { name: "short", rows: (0..ids.len()).collect(), ids, full: true, without }
}

fn prompt(
    name: &'static str,
    text: &[i32],
    length: usize,
    kept: usize,
    changes: &[usize],
) -> Result<Prompt> {
    let ids = text.get(..length).ok_or_else(|| {
        format!("the corpus has {} tokens in this vocabulary, {name} needs {length}", text.len())
    })?;
    // The rows beside every change, the first two and the last; then ever more of the gaps.
    let mut rows: BTreeSet<usize> = changes.iter().flat_map(|at| [at - 1, *at]).collect();
    rows.extend([0, 1, length - 1]);
    rows.retain(|row| *row < length);
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let mut spread =
        (1..).map(|step| ((f64::from(step) * golden).fract() * length as f64) as usize);
    while rows.len() < kept.min(length) {
        rows.extend(spread.next());
    }
    let rows = rows.into_iter().collect();
    Ok(Prompt { name, ids: ids.to_vec(), rows, full: false, without: vec![] })
}

/// Positions from which on a row sees something else than a plain model would show it.
fn changes(model: &Model) -> Result<Vec<usize>> {
    let arch = model.metadata("general.architecture")?.unwrap_or_default();
    let mut found = Vec::new();
    for key in ["attention.sliding_window", "rope.scaling.original_context_length"] {
        if let Some(text) = model.metadata(&format!("{arch}.{key}"))? {
            found.push(text.parse::<usize>().map_err(|_| format!("{key} is '{text}'"))?);
        }
    }
    found.retain(|at| *at > 0);
    Ok(found)
}
