//! How likely the model itself held tokens to be: of the row as it came, whatever temperature,
//! truncation, bias and penalties made of it afterwards. Clients compare these numbers between
//! requests and train on them, so no parameter may move them.

use super::rank::first_of;
use super::row;
use super::weights::Scale;

/// A token and the natural logarithm of its probability; finite, however unlikely it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Logprob {
    /// The token.
    pub id: u32,
    /// At most 0.
    pub logprob: f64,
}

/// Logprobs of one choice.
#[derive(Debug, Clone, PartialEq)]
pub struct Logprobs {
    /// The chosen token's, whether it is among the likeliest or not.
    pub chosen: Logprob,
    /// The likeliest, most likely first, of equal ones the lower id first; as many as were asked
    /// for, or the whole vocabulary.
    pub top: Vec<Logprob>,
}

impl Logprobs {
    /// Of a finite row.
    pub(super) fn of(logits: &[f32], chosen: u32, top: usize) -> Self {
        let (_, largest) = row::largest(logits);
        let total: f64 = Scale { largest, temperature: 1.0 }.sums(logits).iter().sum();
        let (largest, normaliser) = (f64::from(largest), total.ln());
        let logprob = |id: u32, logit: f32| Logprob {
            id,
            logprob: (f64::from(logit) - largest) - normaliser,
        };
        let listed = if top == 0 { Vec::new() } else { first_of(logits, top) };
        Logprobs {
            chosen: logprob(chosen, logits[chosen as usize]),
            top: listed.into_iter().map(|token| logprob(token.id, token.logit)).collect(),
        }
    }
}
