//! Perplexity by llama.cpp's method (`llama-perplexity`): chunks of 512 tokens with an empty cache
//! each, the second half scored, a vocabulary's BOS in the place of each chunk's first token.

use crate::Result;
use crate::digest::sha256;
use crate::llama::Model;
use crate::llama::session::{Rows, Session, Settings};

pub(super) const CHUNK: usize = 512;

pub(super) struct Perplexity {
    pub(super) value: f64,
    pub(super) error: f64,
    /// Of the text, of which whole chunks are read.
    pub(super) tokens: usize,
    pub(super) chunks: usize,
    pub(super) scored: usize,
    /// Of the ids as little-endian i32.
    pub(super) sha256: String,
}

pub(super) fn measure(model: &Model, text: &str) -> Result<Perplexity> {
    let ids = model.tokenize(text, true, false)?;
    let chunks = ids.len() / CHUNK;
    if chunks < 2 {
        return Err(format!("{} tokens are less than two chunks of {CHUNK}", ids.len()).into());
    }
    let mut session = Session::new(model, Settings::exact(CHUNK), None)?;
    let first = CHUNK / 2;
    let (mut sum, mut squares, mut scored) = (0.0, 0.0, 0usize);
    for chunk in ids.chunks_exact(CHUNK) {
        let mut fed = chunk.to_vec();
        if let Some(bos) = model.bos_in_front() {
            fed[0] = bos;
        }
        session.clear();
        let logits = session.decode(&fed, Rows::From(first))?;
        // The row of a position predicts the next token, so the last row predicts none.
        for (row, next) in logits.chunks_exact(model.n_vocab()).zip(&chunk[first + 1..]) {
            let surprise = surprise(row, usize::try_from(*next)?);
            sum += surprise;
            squares += surprise * surprise;
            scored += 1;
        }
    }
    let mean = sum / scored as f64;
    let variance = squares / scored as f64 - mean * mean;
    let value = mean.exp();
    let error = if variance > 0.0 { value * (variance / (scored - 1) as f64).sqrt() } else { 0.0 };
    let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    Ok(Perplexity { value, error, tokens: ids.len(), chunks, scored, sha256: sha256(&bytes) })
}

/// Negative logarithm of a token's probability: f32 exponentials, summed in f64.
fn surprise(logits: &[f32], id: usize) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from((logit - largest).exp())).sum();
    -(f64::from(logits[id] - largest) - sum.ln())
}
