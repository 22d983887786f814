//! Finds the scale, minimum and codes of one Q4_K sub-block. Knows numbers, not layout.
//!
//! Twenty-one trial scales; each rounds the values to codes above the best minimum so far, then
//! solves the weighted least squares for the line through those codes. Large elements weigh
//! more, because they matter more to a dot product. Every sum runs in order in f32: the result
//! is ggml's to the bit.

use super::encode::nearest;

const TOP: f32 = 15.0;

/// y ≈ scale·code + low, with low ≤ 0.
#[derive(Clone, Copy)]
pub(super) struct Line {
    pub(super) scale: f32,
    pub(super) low: f32,
    pub(super) codes: [u8; 32],
}

/// The best line found for the values of a sub-block.
pub(super) fn fit(x: &[f32; 32]) -> Line {
    let weights = weights(x);
    let (low, high) = x.iter().fold((x[0], x[0]), |(low, high), x| {
        (if *x < low { *x } else { low }, if *x > high { *x } else { high })
    });
    // A minimum is stored without a sign, so a line starts at zero or below.
    let low = if low > 0.0 { 0.0 } else { low };
    if high == low {
        return Line { scale: 0.0, low, codes: [0; 32] };
    }
    let inverse = TOP / (high - low);
    let mut best = Line { scale: 1.0 / inverse, low, codes: round(x, inverse, low) };
    let mut best_error = error(x, &weights, &best);
    for step in 0..=20u8 {
        let inverse = (-1.0 + 0.1 * f32::from(step) + TOP) / (high - best.low);
        let codes = round(x, inverse, best.low);
        let Some(line) = solve(x, &weights, codes) else { continue };
        let error = error(x, &weights, &line);
        if error < best_error {
            (best, best_error) = (line, error);
        }
    }
    best
}

/// Root mean square plus magnitude.
fn weights(x: &[f32; 32]) -> [f32; 32] {
    let squares = x.iter().fold(0.0, |sum, x| sum + x * x);
    let rms = (squares / 32.0).sqrt();
    x.map(|x| rms + x.abs())
}

fn round(x: &[f32; 32], inverse: f32, low: f32) -> [u8; 32] {
    x.map(|x| nearest(inverse * (x - low)).clamp(0, 15) as u8)
}

fn error(x: &[f32; 32], weights: &[f32; 32], line: &Line) -> f32 {
    let mut sum = 0.0;
    for ((x, weight), code) in x.iter().zip(weights).zip(line.codes) {
        let off = line.scale * f32::from(code) + line.low - x;
        sum += weight * (off * off);
    }
    sum
}

/// The least-squares line through given codes; none where the codes do not determine one.
fn solve(x: &[f32; 32], weights: &[f32; 32], codes: [u8; 32]) -> Option<Line> {
    let (mut w, mut wx, mut wl, mut wll, mut wlx) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for ((x, weight), code) in x.iter().zip(weights).zip(codes) {
        let code = f32::from(code);
        w += weight;
        wx += weight * x;
        wl += weight * code;
        wll += weight * code * code;
        wlx += weight * code * x;
    }
    let determinant: f32 = w * wll - wl * wl;
    (determinant > 0.0).then(|| {
        let low = (wll * wx - wl * wlx) / determinant;
        if low > 0.0 {
            Line { scale: wlx / wll, low: 0.0, codes }
        } else {
            Line { scale: (w * wlx - wx * wl) / determinant, low, codes }
        }
    })
}
