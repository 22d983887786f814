//! From one row of logits to the next token id. A pure function of the row, the parameters, the ids
//! so far, the seed and the position; it keeps nothing between calls and knows no text, no model
//! and no clock, so company in a batch, a restart or a replay cannot change what it chooses.
//!
//! Steps, in the order of llama.cpp's default chain:
//!
//! 1. refuse a row that holds NaN or infinity, and take logprobs of the row as it is;
//! 2. logit bias, added; then repetition, frequency and presence penalties;
//! 3. temperature 0: the largest logit, of equal ones the lowest id, and nothing else happens;
//! 4. top-k, then top-p, then min-p, each on what the one before has left, all at temperature 1;
//! 5. temperature;
//! 6. a draw over what is left, in order of id, with one number of a counter-based generator.
//!
//! "The largest" always means: by logit, then by the lower id. The steps of 4 keep the first tokens
//! in that order, and never none.

mod adjust;
mod candidates;
mod logprobs;
mod params;
mod philox;
mod rank;
mod row;
mod weights;

pub use candidates::Candidates;
pub use logprobs::{Logprob, Logprobs};
pub use params::{MAX_TOP_LOGPROBS, SamplerParams};
pub use philox::{philox4x32, uniform};

use crate::error::{Error, Result};

/// What one choice is made from, beside the parameters.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// One logit per token of the vocabulary.
    pub logits: &'a [f32],
    /// The ids before this one, oldest first; penalties look at the last of them.
    pub history: &'a [u32],
    /// Chosen by the caller of the whole generation.
    pub seed: u64,
    /// Where the new token will stand in its sequence.
    pub position: u64,
}

/// What was chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The token.
    pub id: u32,
    /// How likely it and the likeliest were, if asked for.
    pub logprobs: Option<Logprobs>,
}

/// Chooses the next token.
pub fn sample(step: &Step, params: &SamplerParams) -> Result<Choice> {
    let id = candidates(step, params)?.draw(uniform(step.seed, step.position));
    let logprobs = params.top_logprobs.map(|top| Logprobs::of(step.logits, id, top));
    Ok(Choice { id, logprobs })
}

/// The tokens that the parameters leave to choose from, with their probabilities.
pub fn candidates<'a>(step: &Step<'a>, params: &SamplerParams) -> Result<Candidates<'a>> {
    params.check(step.logits.len())?;
    row::check(step.logits, step.position)?;
    let adjusted = adjust::adjusted(step, params)?;
    let mut candidates = Candidates::all(adjusted);
    if params.temperature == 0.0 {
        candidates.keep_largest();
        return Ok(candidates);
    }
    candidates.top_k(params.top_k);
    candidates.top_p(params.top_p);
    candidates.min_p(params.min_p);
    candidates.heat(params.temperature);
    Ok(candidates)
}

/// The logarithm of the probability that the row itself gives to a token.
pub fn logprob(logits: &[f32], id: u32, position: u64) -> Result<f64> {
    row::check(logits, position)?;
    if id as usize >= logits.len() {
        let range = format!("below {}", logits.len());
        return Err(Error::Parameter { name: "token", value: id.to_string(), range });
    }
    Ok(Logprobs::of(logits, id, 0).chosen.logprob)
}
