//! The tokens that are still in the choice. Every step that takes some away keeps those that stand
//! first by logit, then by the lower id; none of them sorts the vocabulary.

use super::rank::{Ranked, first_of, nucleus, passes};
use super::row;
use super::weights::{BLOCK, Scale};
use std::borrow::Cow;
use std::cmp::Ordering;

/// Tokens to choose from, in order of id; never none.
#[derive(Debug, Clone)]
pub struct Candidates<'a> {
    /// `None` where the place of a logit is its id.
    ids: Option<Vec<u32>>,
    logits: Cow<'a, [f32]>,
    /// The first of the order is never taken away, so this holds from the first step to the last.
    largest: f32,
    temperature: f32,
}

impl<'a> Candidates<'a> {
    /// A whole row, finite and not empty.
    pub(super) fn all(logits: Cow<'a, [f32]>) -> Self {
        let (_, largest) = row::largest(&logits);
        Candidates { ids: None, logits, largest, temperature: 1.0 }
    }

    /// How many there are.
    #[allow(clippy::len_without_is_empty)] // there is always one
    pub fn len(&self) -> usize {
        self.logits.len()
    }

    /// Each with the probability that [`Candidates::draw`] gives it.
    pub fn probabilities(&self) -> Vec<(u32, f64)> {
        let total: f64 = self.scale().sums(&self.logits).iter().sum();
        let mut weights = [0.0; BLOCK];
        let mut all = Vec::with_capacity(self.len());
        for block in self.logits.chunks(BLOCK) {
            for weight in self.scale().weights(block, &mut weights) {
                all.push((self.id(all.len()), weight / total));
            }
        }
        all
    }

    /// The candidate at which the probabilities, summed in order of id, go beyond `u` in [0, 1).
    pub fn draw(&self, u: f64) -> u32 {
        if self.len() == 1 {
            return self.id(0);
        }
        let sums = self.scale().sums(&self.logits);
        let (block, rest) = passes(&sums, u * sums.iter().sum::<f64>());
        let from = block * BLOCK;
        let logits = &self.logits[from..self.len().min(from + BLOCK)];
        let mut weights = [0.0; BLOCK];
        let (place, _) = passes(self.scale().weights(logits, &mut weights), rest);
        self.id(from + place)
    }

    /// Only the first of the order.
    pub(super) fn keep_largest(&mut self) {
        let (place, largest) = row::largest(&self.logits);
        self.ids = Some(vec![self.id(place)]);
        self.logits = Cow::Owned(vec![largest]);
    }

    /// The first `k` of the order; 0 keeps all.
    pub(super) fn top_k(&mut self, k: u32) {
        if k > 0
            && (k as usize) < self.len()
            && let Some(last) = first_of(&self.logits, k as usize).last()
        {
            self.keep_until(Ranked { id: self.id(last.id as usize), logit: last.logit });
        }
    }

    /// As many of the first as it takes for their probabilities to reach `p`; 1 keeps all.
    pub(super) fn top_p(&mut self, p: f32) {
        if p == 1.0 {
            return;
        }
        let total: f64 = self.scale().sums(&self.logits).iter().sum();
        if let Some(last) = nucleus(&self.logits, self.scale(), f64::from(p) * total) {
            self.keep_until(Ranked { id: self.id(last.id as usize), logit: last.logit });
        }
    }

    /// Those at least `p` times as likely as the first; 0 keeps all.
    pub(super) fn min_p(&mut self, p: f32) {
        if p > 0.0 {
            let least = f64::from(self.largest) + f64::from(p).ln();
            // The first f32 that is not below.
            let rounded = least as f32;
            let below = f64::from(rounded) < least;
            self.keep(if below { rounded.next_up() } else { rounded }, |_| true);
        }
    }

    /// From here on probabilities are at this temperature, which is above 0.
    pub(super) fn heat(&mut self, temperature: f32) {
        self.temperature = temperature;
    }

    fn scale(&self) -> Scale {
        Scale { largest: self.largest, temperature: self.temperature }
    }

    fn id(&self, place: usize) -> u32 {
        match &self.ids {
            Some(ids) => ids[place],
            None => place as u32,
        }
    }

    fn keep_until(&mut self, last: Ranked) {
        self.keep(last.logit, |candidate| candidate.order(&last) != Ordering::Greater);
    }

    /// Those of at least this logit that are wanted.
    fn keep(&mut self, bound: f32, wanted: impl Fn(Ranked) -> bool) {
        let (mut ids, mut logits) = (Vec::new(), Vec::new());
        row::at_least(&self.logits, bound, |place, logit| {
            let candidate = Ranked { logit, id: self.id(place) };
            if wanted(candidate) {
                ids.push(candidate.id);
                logits.push(candidate.logit);
            }
            bound
        });
        self.ids = Some(ids);
        self.logits = Cow::Owned(logits);
    }
}
