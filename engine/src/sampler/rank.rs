//! Which tokens stand first by logit, then by the lower id. Knows logits and places, which it calls
//! ids; sorts no more of a row than it must.

use super::row;
use super::weights::{BLOCK, Scale};
use std::cmp::Ordering;

/// A token in the order of all steps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ranked {
    pub(super) logit: f32,
    pub(super) id: u32,
}

impl Ranked {
    /// The larger logit first, then the lower id. Logits are finite, so they have an order.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let by_logit = other.logit.partial_cmp(&self.logit).unwrap_or(Ordering::Equal);
        by_logit.then(self.id.cmp(&other.id))
    }
}

/// The first `k`, in order. Reads the row once and keeps at most `2 k` of it at a time.
pub(super) fn first_of(logits: &[f32], k: usize) -> Vec<Ranked> {
    let mut kept: Vec<Ranked> = Vec::with_capacity(2 * k);
    let mut bound = f32::MIN;
    row::at_least(logits, bound, |place, logit| {
        kept.push(Ranked { logit, id: place as u32 });
        if kept.len() == 2 * k {
            kept.select_nth_unstable_by(k - 1, Ranked::order);
            kept.truncate(k);
            // An equal logit further on stands behind those that are kept.
            bound = kept[k - 1].logit.next_up();
        }
        bound
    });
    kept.sort_unstable_by(Ranked::order);
    kept.truncate(k);
    kept
}

/// How far below the largest logit the first look for a nucleus goes; e^-8 is 1/3000.
const FIRST_REACH: f64 = 8.0;

/// The token at which the weights, summed in order, reach `target`.
pub(super) fn nucleus(logits: &[f32], scale: Scale, target: f64) -> Option<Ranked> {
    let mut reach = FIRST_REACH;
    loop {
        let near = Near::of(logits, scale, reach);
        if near.logits.len() == logits.len() || near.weight >= target {
            return near.reaching(target);
        }
        reach *= 4.0;
    }
}

/// The logits that lie within some distance of the largest, in bins by that distance: only the
/// bin in which the sum of the weights gets somewhere has to be put into order.
struct Near {
    scale: Scale,
    places: Vec<u32>,
    logits: Vec<f32>,
    bins: Vec<f64>,
    weight: f64,
}

/// Bins of a sixteenth, as far as 128 down; what lies lower weighs nothing that could be seen.
const BINS_PER_UNIT: f64 = 16.0;
const BINS: usize = 2048;

impl Near {
    fn of(logits: &[f32], scale: Scale, reach: f64) -> Near {
        let bound = (f64::from(scale.largest) - reach).max(f64::from(f32::MIN)) as f32;
        let (mut places, mut near) = (Vec::new(), Vec::new());
        row::at_least(logits, bound, |place, logit| {
            places.push(place as u32);
            near.push(logit);
            bound
        });
        let mut bins = vec![0.0; BINS];
        let mut weights = [0.0; BLOCK];
        for block in near.chunks(BLOCK) {
            for (logit, weight) in block.iter().zip(scale.weights(block, &mut weights)) {
                bins[bin(scale, *logit)] += weight;
            }
        }
        let weight = bins.iter().sum();
        Near { scale, places, logits: near, bins, weight }
    }

    fn reaching(&self, target: f64) -> Option<Ranked> {
        let (crossed, rest) = reaches(&self.bins, target);
        let pairs = self.places.iter().zip(&self.logits);
        let inside = pairs.filter(|(_, logit)| bin(self.scale, **logit) == crossed);
        let mut inside: Vec<_> =
            inside.map(|(place, logit)| Ranked { logit: *logit, id: *place }).collect();
        inside.sort_unstable_by(Ranked::order);
        let mut sum = 0.0;
        let mut weights = [0.0; BLOCK];
        let reached = inside.iter().find(|token| {
            sum += self.scale.weights(&[token.logit], &mut weights)[0];
            sum >= rest
        });
        // The bin's own sum got there; in another order rounding may keep it just below.
        reached.or(inside.last()).copied()
    }
}

fn bin(scale: Scale, logit: f32) -> usize {
    let distance = f64::from(scale.largest) - f64::from(logit);
    ((distance * BINS_PER_UNIT) as usize).min(BINS - 1)
}

/// Where the sum of the parts first exceeds `target`, and what of the target is left for that part.
/// If rounding keeps the sum below, the last part that weighs anything.
pub(super) fn passes(parts: &[f64], target: f64) -> (usize, f64) {
    first(parts, target, |sum, target| sum > target)
}

/// Where the sum of the parts first reaches `target`; else as [`passes`].
fn reaches(parts: &[f64], target: f64) -> (usize, f64) {
    first(parts, target, |sum, target| sum >= target)
}

fn first(parts: &[f64], target: f64, enough: impl Fn(f64, f64) -> bool) -> (usize, f64) {
    let mut sum = 0.0;
    let mut last = (0, 0.0);
    for (place, part) in parts.iter().enumerate() {
        if *part > 0.0 {
            last = (place, target - sum);
            sum += part;
            if enough(sum, target) {
                break;
            }
        }
    }
    last
}
