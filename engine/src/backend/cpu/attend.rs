//! Attention of one row and one key head: a softmax over the positions the row sees, in order of
//! position. Nothing but the row, its own past and the sink decides a bit.

use super::cache::LayerCache;
use super::math;
use crate::adapters::Attention;

/// Sums products in sixteen lanes and adds the lanes up in a fixed tree.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [0.0f32; LANES];
    let (a_whole, b_whole) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (a_rest, b_rest) = (a_whole.remainder(), b_whole.remainder());
    for (a, b) in a_whole.zip(b_whole) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    for (lane, (a, b)) in a_rest.iter().zip(b_rest).enumerate() {
        lanes[lane] += a * b;
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// Where a row stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Its sequence.
    pub(super) slot: usize,
    /// Its position.
    pub(super) position: usize,
}

/// All query heads that share the key head `kv_head`. `queries` and `out` are the whole row.
pub(super) fn attend(
    attention: &Attention,
    sinks: Option<&[f32]>,
    cache: &LayerCache,
    place: Place,
    kv_head: usize,
    queries: &[f32],
    out: &mut [f32],
) {
    let dim = attention.head_dim;
    let group = attention.heads / attention.kv_heads;
    let seen = attention.first_seen(place.position)..=place.position;
    let mut scores = Vec::with_capacity(seen.clone().count());
    let mut scratch = vec![0.0; dim];
    for (index, out) in out.chunks_exact_mut(dim).enumerate() {
        let head = kv_head * group + index;
        let query = &queries[head * dim..(head + 1) * dim];
        scores.clear();
        let sink = sinks.map(|sinks| sinks[head]);
        let mut top = sink.unwrap_or(f32::NEG_INFINITY);
        for position in seen.clone() {
            let key = cache.key(place.slot, position, kv_head * dim, &mut scratch);
            let score = dot(query, key) * attention.scale;
            // Not `max`, which would hide a score that is no number.
            top = if score > top || score.is_nan() { score } else { top };
            scores.push(score);
        }
        let mut sum = 0.0;
        for score in &mut scores {
            let part = math::exp(f64::from(*score) - f64::from(top));
            sum += part;
            *score = part as f32;
        }
        // A sink takes its share and gives nothing.
        sum += sink.map_or(0.0, |sink| math::exp(f64::from(sink) - f64::from(top)));
        out.fill(0.0);
        for (position, part) in seen.clone().zip(&scores) {
            let value = cache.value(place.slot, position, kv_head * dim, &mut scratch);
            out.iter_mut().zip(value).for_each(|(out, value)| *out += part * value);
        }
        let share = (1.0 / sum) as f32;
        out.iter_mut().for_each(|out| *out *= share);
    }
}
