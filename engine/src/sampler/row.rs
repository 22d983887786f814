//! A row of logits: whether it can be used, and which is its largest. The loops are written so that
//! the compiler can run them on vectors.

use crate::error::{Error, Result};

/// As many as two vectors of AVX-512 hold.
const LANES: usize = 32;

/// A row that holds NaN or infinity chooses nothing: the model or the device has failed, and any
/// token would hide it.
pub(super) fn check(logits: &[f32], position: u64) -> Result<()> {
    if logits.is_empty() {
        let (value, range) = ("of no tokens".into(), "of one at least".into());
        return Err(Error::Parameter { name: "logits", value, range });
    }
    let count: usize = logits.iter().map(|logit| usize::from(!logit.is_finite())).sum();
    if count == 0 {
        return Ok(());
    }
    let first = logits.iter().position(|logit| !logit.is_finite()).unwrap_or(0);
    Err(Error::BadLogits { position, count, n_vocab: logits.len(), first })
}

/// Calls `found` with place and value of each logit that is at least `bound`, in order of place.
/// `found` answers with the bound for what follows. Rows have few such logits, so whole chunks
/// without any are passed over at once.
pub(super) fn at_least(logits: &[f32], bound: f32, mut found: impl FnMut(usize, f32) -> f32) {
    let mut bound = bound;
    for (chunk_index, chunk) in logits.chunks(LANES).enumerate() {
        let any = chunk.iter().fold(false, |any, logit| any | (*logit >= bound));
        if !any {
            continue;
        }
        for (lane, logit) in chunk.iter().enumerate() {
            if *logit >= bound {
                bound = found(chunk_index * LANES + lane, *logit);
            }
        }
    }
}

/// Place and value of the largest, of equal ones the first. The row must not be empty.
pub(super) fn largest(logits: &[f32]) -> (usize, f32) {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = logits.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, logit) in lanes.iter_mut().zip(chunk) {
            *lane = if *logit > *lane { *logit } else { *lane };
        }
    }
    let most = lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |most, logit| most.max(*logit));
    let place = logits.iter().position(|logit| *logit == most).unwrap_or(0);
    (place, most)
}
