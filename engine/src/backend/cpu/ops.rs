//! Everything that happens to a row alone, but for matrices. Sums run in f64 and in an order of
//! their own, so that no bit depends on anything but the row.

use super::level::Level;
use super::math;
use crate::adapters::rope::Style;
use crate::adapters::{Activation, Gelu, Norm, NormKind, Rope};
use half::f16;

/// Normalises a row.
pub(super) fn norm(norm: Norm, weight: &[f32], bias: Option<&[f32]>, row: &[f32], out: &mut [f32]) {
    let count = row.len() as f64;
    let mean = match norm.kind {
        NormKind::Rms => 0.0,
        NormKind::Layer => sum(row, |x| x) / count,
    };
    let variance = sum(row, |x| (x - mean) * (x - mean)) / count;
    let scale = 1.0 / (variance + f64::from(norm.epsilon)).sqrt();
    for (out, (x, weight)) in out.iter_mut().zip(row.iter().zip(weight)) {
        *out = ((f64::from(*x) - mean) * scale) as f32 * weight;
    }
    if let Some(bias) = bias {
        add(out, bias);
    }
}

/// The sum of a function of each number. Every eighth has a sum of its own, because one alone would
/// wait for each addition.
#[inline(always)]
fn sum(row: &[f32], of: impl Fn(f64) -> f64) -> f64 {
    let (eights, rest) = row.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for eight in eights.iter().map(|eight| &eight[..]).chain([rest]) {
        for (sum, x) in sums.iter_mut().zip(eight) {
            *sum += of(f64::from(*x));
        }
    }
    sums.iter().sum()
}

/// Adds a row to a row.
pub(super) fn add(row: &mut [f32], other: &[f32]) {
    row.iter_mut().zip(other).for_each(|(x, y)| *x += y);
}

/// Turns one head. `cos` and `sin` hold a number for each pair.
pub(super) fn rope(rope: &Rope, head: &mut [f32], cos: &[f32], sin: &[f32]) {
    for (pair, (cos, sin)) in cos.iter().zip(sin).enumerate() {
        let (a, b) = match rope.style {
            Style::Neox => (pair, pair + rope.dims / 2),
            Style::Normal => (2 * pair, 2 * pair + 1),
        };
        let (x, y) = (head[a], head[b]);
        head[a] = x * cos - y * sin;
        head[b] = x * sin + y * cos;
    }
}

/// The function between the projections of a feed-forward network, in place of some numbers of it.
pub(super) fn activate(level: Level, how: Activation, gate: Option<&[f32]>, up: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if level >= Level::Avx2 {
        #[target_feature(enable = "avx2,fma")]
        fn compiled(how: Activation, gate: Option<&[f32]>, up: &mut [f32]) {
            active(how, gate, up);
        }
        // SAFETY: the pool offers a level only where the machine has its instructions.
        return unsafe { compiled(how, gate, up) };
    }
    let _ = level;
    active(how, gate, up);
}

#[inline(always)] // so that it is compiled once more for wider registers
fn active(how: Activation, gate: Option<&[f32]>, up: &mut [f32]) {
    match (how, gate) {
        (Activation::Gelu(Gelu::Tanh), _) => up.iter_mut().for_each(|x| *x = gelu_tanh(*x)),
        (Activation::Gelu(how), _) => up.iter_mut().for_each(|x| *x = gelu(how, *x)),
        (Activation::SwiGlu, Some(gate)) => {
            for (up, gate) in up.iter_mut().zip(gate) {
                let x = f64::from(*gate);
                *up *= (x * math::sigmoid(x)) as f32;
            }
        }
        (Activation::SwiGluOai { alpha, limit }, Some(gate)) => {
            for (up, gate) in up.iter_mut().zip(gate) {
                let x = clamped(*gate, f32::NEG_INFINITY, limit);
                let y = clamped(*up, -limit, limit);
                let slope = math::sigmoid(f64::from(alpha) * f64::from(x));
                *up = (f64::from(x) * slope) as f32 * (y + 1.0);
            }
        }
        // A gated activation without a gate: nothing that an architecture describes.
        (_, None) => up.fill(f32::NAN),
    }
}

/// NaN stays NaN, so that a broken row is found where it broke.
#[inline(always)]
fn clamped(x: f32, low: f32, high: f32) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// The Gaussian error linear unit.
pub(super) fn gelu(how: Gelu, x: f32) -> f32 {
    match how {
        Gelu::Erf => {
            let x = f64::from(x);
            (0.5 * x * (1.0 + math::erf(x * std::f64::consts::FRAC_1_SQRT_2))) as f32
        }
        Gelu::Tanh => gelu_tanh(x),
        // ggml's table ends here; beyond it the function is 0 or the identity.
        Gelu::TanhF16Table if x <= -10.0 => 0.0,
        Gelu::TanhF16Table if x >= 10.0 => x,
        Gelu::TanhF16Table => f16::from_f32(gelu_tanh(f16::from_f32(x).to_f32())).to_f32(),
    }
}

/// Half of 1 + tanh(y) is the sigmoid of 2·y, which costs one division and cancels nowhere.
#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    let x = f64::from(x);
    let inner = (2.0 / std::f64::consts::PI).sqrt() * x * (1.0 + 0.044715 * x * x);
    (x * math::sigmoid(2.0 * inner)) as f32
}

/// The `used` best of a row of scores, the lower id first among equals, and each one's share by a
/// softmax over the chosen. A score that is no number comes last; if it is chosen all the same, the
/// shares are no numbers either.
pub(super) fn route(scores: &[f32], used: usize, ids: &mut [u32], shares: &mut [f32]) {
    let rank = |score: f32| if score.is_nan() { f32::NEG_INFINITY } else { score };
    let mut order: Vec<u32> = (0..scores.len() as u32).collect();
    // The sort keeps the order of equals; +0 and -0 are equal.
    order.sort_by(|a, b| {
        let (a, b) = (rank(scores[*a as usize]), rank(scores[*b as usize]));
        b.partial_cmp(&a).unwrap_or(std::cmp::Ordering::Equal)
    });
    let top = f64::from(scores[order[0] as usize]);
    let mut sum = 0.0;
    let mut parts = Vec::with_capacity(used);
    for id in &order[..used] {
        let part = math::exp(f64::from(scores[*id as usize]) - top);
        sum += part;
        parts.push(part);
    }
    ids.copy_from_slice(&order[..used]);
    shares.iter_mut().zip(parts).for_each(|(share, part)| *share = (part / sum) as f32);
}

/// The sum of a row's experts, each times its share, in order of expert id.
pub(super) fn mix(rows: &[f32], ids: &[u32], shares: &[f32], out: &mut [f32]) {
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_by_key(|at| ids[*at]);
    out.fill(0.0);
    for at in order {
        let row = &rows[at * out.len()..(at + 1) * out.len()];
        out.iter_mut().zip(row).for_each(|(out, x)| *out += shares[at] * x);
    }
}
