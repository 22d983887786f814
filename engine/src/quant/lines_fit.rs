//! Finds scales, minima and codes of a Q4_K or Q5_K block. Knows numbers, not how codes are packed.
//!
//! For each sub-block some trial scales; each rounds the values to codes above the best minimum so
//! far, then solves the weighted least squares for the line through those codes. Large elements
//! weigh more, because they matter more to a dot product. Every sum runs in order in f32: the
//! result is ggml's to the bit.

use super::block::{Half, half};
use super::encode::{Tally, Unencodable, nearest, store_scale};
use super::q4_k::{LEN, pack};

/// Which lines are tried: codes end at `top`, and trial `i` of `0..=trials` spreads the values over
/// `top + first + i/10` codes.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    pub(super) top: u8,
    pub(super) first: f32,
    pub(super) trials: u8,
}

/// What a block stores, codes unpacked.
pub(super) struct Fitted {
    pub(super) d: Half,
    pub(super) dmin: Half,
    pub(super) scales: [u8; 12],
    pub(super) codes: [[u8; 32]; 8],
}

/// Fits each sub-block on its own, rounds scales and minima to six bits of the largest, then
/// rounds every element again against what was really stored. `index`: the block's, for refusals.
pub(super) fn fit_block(
    x: &[f32; LEN],
    grid: Grid,
    index: usize,
    tally: &mut Tally,
) -> Result<Fitted, Unencodable> {
    let (x, _) = x.as_chunks::<32>();
    let lines: [Line; 8] = std::array::from_fn(|sub| fit(&x[sub], grid));
    if let Some(line) = lines.iter().find(|line| !line.scale.is_finite()) {
        return Err(Unencodable::ScaleOverflow { block: index, scale: line.scale });
    }
    let most = |of: fn(&Line) -> f32| lines.iter().map(of).fold(0.0, f32::max);
    let (max_scale, max_min) = (most(|line| line.scale), most(|line| -line.low));
    let d = store_scale(max_scale / 63.0, index, tally)?;
    let dmin = store_scale(max_min / 63.0, index, tally)?;
    // A scale below zero (a falling line) wraps to a large one, as in ggml.
    let share = |part: f32, most: f32| {
        let inverse = if most > 0.0 { 63.0 / most } else { 0.0 };
        (nearest(inverse * part) as u8).min(63)
    };
    let scales = lines.map(|line| share(line.scale, max_scale));
    let mins = lines.map(|line| share(-line.low, max_min));
    let codes = std::array::from_fn(|sub| {
        let (scale, min) = (half(d) * f32::from(scales[sub]), half(dmin) * f32::from(mins[sub]));
        // Without a scale the codes mean nothing; the fitted ones stay, as in ggml.
        match scale != 0.0 {
            true => x[sub].map(|x| code(nearest((x + min) / scale), grid)),
            false => lines[sub].codes,
        }
    });
    Ok(Fitted { d, dmin, scales: pack(&scales, &mins), codes })
}

/// y ≈ scale·code + low, with low ≤ 0.
#[derive(Clone, Copy)]
struct Line {
    scale: f32,
    low: f32,
    codes: [u8; 32],
}

fn code(nearest: i32, grid: Grid) -> u8 {
    nearest.clamp(0, i32::from(grid.top)) as u8
}

/// The best line found for the values of a sub-block.
fn fit(x: &[f32; 32], grid: Grid) -> Line {
    let top = f32::from(grid.top);
    let weights = weights(x);
    let (low, high) = x.iter().fold((x[0], x[0]), |(low, high), x| {
        (if *x < low { *x } else { low }, if *x > high { *x } else { high })
    });
    // A minimum is stored without a sign, so a line starts at zero or below.
    let low = if low > 0.0 { 0.0 } else { low };
    if high == low {
        return Line { scale: 0.0, low, codes: [0; 32] };
    }
    let inverse = top / (high - low);
    let mut best = Line { scale: 1.0 / inverse, low, codes: round(x, inverse, low, grid) };
    let mut best_error = error(x, &weights, &best);
    for step in 0..=grid.trials {
        let inverse = (grid.first + 0.1 * f32::from(step) + top) / (high - best.low);
        let codes = round(x, inverse, best.low, grid);
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

fn round(x: &[f32; 32], inverse: f32, low: f32, grid: Grid) -> [u8; 32] {
    x.map(|x| code(nearest(inverse * (x - low)), grid))
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
