//! What the verbs of a backend compute, in f64, one number at a time. Written from the definitions,
//! in the plainest order; no function is shared with the engine. `op::reference::` holds them
//! against numbers that others computed.

/// Products of rows with the rows of a matrix: `[row][output]`.
pub fn matmul(x: &[f64], weight: &[f64], bias: Option<&[f64]>, width: usize) -> Vec<f64> {
    let outputs = weight.len() / width;
    let mut out = Vec::with_capacity(x.len() / width * outputs);
    for row in x.chunks_exact(width) {
        for (output, weights) in weight.chunks_exact(width).enumerate() {
            let sum: f64 = row.iter().zip(weights).map(|(x, w)| x * w).sum();
            out.push(sum + bias.map_or(0.0, |bias| bias[output]));
        }
    }
    out
}

/// Divides a row by the root of its mean square.
pub fn norm_rms(x: &[f64], weight: &[f64], epsilon: f64) -> Vec<f64> {
    let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
    x.iter().zip(weight).map(|(x, w)| x / (mean + epsilon).sqrt() * w).collect()
}

/// Takes a row's mean away and divides by its standard deviation.
pub fn norm_layer(x: &[f64], weight: &[f64], bias: &[f64], epsilon: f64) -> Vec<f64> {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
    let scale = 1.0 / (variance + epsilon).sqrt();
    let parts = x.iter().zip(weight).zip(bias);
    parts.map(|((x, w), b)| (x - mean) * scale * w + b).collect()
}

/// Turns the pair `(a, b)` by `angle`.
pub fn turned((a, b): (f64, f64), angle: f64) -> (f64, f64) {
    (a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos())
}

/// The logistic function.
pub fn sigmoid(x: f64) -> f64 {
    // In the form that does not overflow.
    if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) }
}

/// `x · sigmoid(x) · y`.
pub fn swiglu(x: f64, y: f64) -> f64 {
    x * sigmoid(x) * y
}

/// gpt-oss's activation: `x` clamped from above, `y` on both sides.
pub fn swiglu_oai(x: f64, y: f64, alpha: f64, limit: f64) -> f64 {
    let (x, y) = (x.min(limit), y.clamp(-limit, limit));
    x * sigmoid(alpha * x) * (y + 1.0)
}

/// The Gaussian error linear unit: `x` times the normal distribution's mass below it.
pub fn gelu_erf(x: f64) -> f64 {
    x * below(x)
}

/// Its approximation by a hyperbolic tangent.
pub fn gelu_tanh(x: f64) -> f64 {
    x * sigmoid(2.0 * (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3)))
}

/// The mass of the normal distribution below `x`, by Simpson's rule from the far side, so that
/// nothing cancels in the tails.
fn below(x: f64) -> f64 {
    let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let tail = |from: f64| {
        const STEPS: usize = 12_000;
        let step = 12.0 / STEPS as f64;
        let inner = (1..STEPS).map(|i| {
            let weight = if i % 2 == 1 { 4.0 } else { 2.0 };
            weight * density(from + i as f64 * step)
        });
        (density(from) + inner.sum::<f64>() + density(from + 12.0)) * step / 3.0
    };
    if x < 0.0 { tail(-x) } else { 1.0 - tail(x) }
}

/// The `used` best scores, the lower id first among equals, and the softmax over them.
pub fn route(scores: &[f32], used: usize) -> (Vec<u32>, Vec<f64>) {
    let mut ids: Vec<u32> = (0..scores.len() as u32).collect();
    let score = |id: &u32| f64::from(scores[*id as usize]);
    ids.sort_by(|a, b| score(b).total_cmp(&score(a)).then(a.cmp(b)));
    ids.truncate(used);
    // total_cmp puts -0 below +0, which are equal scores: undone by sorting runs of equals by id.
    ids.sort_by(|a, b| match score(a) == score(b) {
        true => a.cmp(b),
        false => score(b).total_cmp(&score(a)),
    });
    let parts: Vec<f64> = ids.iter().map(|id| (score(id) - score(&ids[0])).exp()).collect();
    let sum: f64 = parts.iter().sum();
    (ids, parts.iter().map(|part| part / sum).collect())
}

/// What one head sees: a softmax over `scale · query · key`, a sink among them if there is one,
/// and the values' sum by it.
pub fn attend(
    query: &[f64],
    keys: &[&[f64]],
    values: &[&[f64]],
    scale: f64,
    sink: Option<f64>,
) -> Vec<f64> {
    let dot = |key: &&[f64]| scale * query.iter().zip(*key).map(|(q, k)| q * k).sum::<f64>();
    let scores: Vec<f64> = keys.iter().map(dot).collect();
    let top = scores.iter().copied().chain(sink).fold(f64::NEG_INFINITY, f64::max);
    let parts: Vec<f64> = scores.iter().map(|score| (score - top).exp()).collect();
    let sum = parts.iter().sum::<f64>() + sink.map_or(0.0, |sink| (sink - top).exp());
    let mut out = vec![0.0; values[0].len()];
    for (part, value) in parts.iter().zip(values) {
        out.iter_mut().zip(*value).for_each(|(out, value)| *out += part / sum * value);
    }
    out
}
