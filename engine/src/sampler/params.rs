//! What a caller may ask of the sampler, and the ranges of it. Knows no HTTP and no defaults but
//! its own.

use crate::error::{Error, Result};

/// The most tokens that logprobs list beside the chosen one; OpenAI's limit.
pub const MAX_TOP_LOGPROBS: usize = 20;

/// How to choose. The default changes nothing about the model's distribution.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplerParams {
    /// 0 takes the likeliest token; 1 leaves the distribution; at most 2.
    pub temperature: f32,
    /// Keep this many of the largest; 0 keeps all.
    pub top_k: u32,
    /// Keep the largest until their probabilities reach this sum; 1 keeps all.
    pub top_p: f32,
    /// Keep what is at least this fraction as likely as the likeliest; 0 keeps all.
    pub min_p: f32,
    /// Logits of tokens in the window are divided by this if positive, else multiplied; 1 is off.
    pub repetition_penalty: f32,
    /// Taken off the logit of a token in the window, once for each time it stands there.
    pub frequency_penalty: f32,
    /// Taken off the logit of a token in the window, once.
    pub presence_penalty: f32,
    /// How many of the last ids the three penalties look at.
    pub penalty_window: usize,
    /// (id, what to add to its logit), each id at most once.
    pub logit_bias: Vec<(u32, f32)>,
    /// How many of the likeliest tokens to list with their logprobs; `None`: no logprobs at all.
    pub top_logprobs: Option<usize>,
}

impl Default for SamplerParams {
    fn default() -> Self {
        SamplerParams {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            penalty_window: 64,
            logit_bias: Vec::new(),
            top_logprobs: None,
        }
    }
}

impl SamplerParams {
    /// Always the likeliest token.
    pub fn greedy() -> Self {
        SamplerParams { temperature: 0.0, ..SamplerParams::default() }
    }

    /// Whether logits count as they are, and no logprobs are asked for.
    pub fn plain(&self) -> bool {
        let penalties = (self.repetition_penalty, self.frequency_penalty, self.presence_penalty);
        let free = penalties == (1.0, 0.0, 0.0) && self.logit_bias.is_empty();
        free && self.top_logprobs.is_none()
    }

    /// Whether every value is one that the sampler can follow, for a vocabulary of this size.
    pub fn check(&self, n_vocab: usize) -> Result<()> {
        within("temperature", self.temperature, 0.0, 2.0)?;
        within("top_p", self.top_p, 0.0, 1.0)?;
        within("min_p", self.min_p, 0.0, 1.0)?;
        within("frequency_penalty", self.frequency_penalty, -2.0, 2.0)?;
        within("presence_penalty", self.presence_penalty, -2.0, 2.0)?;
        let repetition = self.repetition_penalty;
        if !(repetition > 0.0 && repetition <= 10.0) {
            return Err(wrong("repetition_penalty", repetition, "above 0 and at most 10"));
        }
        if let Some(top) = self.top_logprobs.filter(|top| *top > MAX_TOP_LOGPROBS) {
            return Err(wrong("top_logprobs", top, format!("at most {MAX_TOP_LOGPROBS}")));
        }
        self.check_bias(n_vocab)
    }

    fn check_bias(&self, n_vocab: usize) -> Result<()> {
        let mut ids: Vec<u32> = self.logit_bias.iter().map(|(id, _)| *id).collect();
        ids.sort_unstable();
        if let Some(pair) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(wrong("logit_bias", format!("of token {} twice", pair[0]), "there once"));
        }
        if let Some(id) = ids.last().filter(|id| **id as usize >= n_vocab) {
            let range = format!("of tokens below {n_vocab}");
            return Err(wrong("logit_bias", format!("of token {id}"), range));
        }
        let odd = self.logit_bias.iter().find(|(_, bias)| !(-100.0..=100.0).contains(bias));
        match odd {
            Some((id, bias)) => {
                Err(wrong("logit_bias", format!("of token {id}: {bias}"), "from -100 to 100"))
            }
            None => Ok(()),
        }
    }
}

/// NaN is in no range.
fn within(name: &'static str, value: f32, low: f32, high: f32) -> Result<()> {
    match (low..=high).contains(&value) {
        true => Ok(()),
        false => Err(wrong(name, value, format!("from {low} to {high}"))),
    }
}

fn wrong(name: &'static str, value: impl ToString, range: impl Into<String>) -> Error {
    Error::Parameter { name, value: value.to_string(), range: range.into() }
}
