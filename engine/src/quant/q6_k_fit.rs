//! Finds the scale and codes of one Q6_K sub-block. Knows numbers, not layout.
//!
//! Nineteen trial scales; each rounds the values to codes, then solves the weighted least
//! squares for the scale, the weight being the square of the element. Every sum runs in order
//! in f32: the result is ggml's to the bit.

use super::encode::{extreme, nearest};

/// Magnitudes below this are zero to the K formats.
pub(super) const NOTHING: f32 = 1e-15;

/// The scale and the codes (0…63, zero at 32) of a sub-block.
pub(super) fn fit(x: &[f32; 16]) -> (f32, [u8; 16]) {
    let extreme = extreme(x);
    if extreme.abs() < NOTHING {
        return (0.0, [0; 16]);
    }
    let trial = |step: i8| -(32.0 + 0.1 * f32::from(step)) / extreme;
    let mut codes = round(x, trial(0));
    let (lx, ll) = sums(x, &codes);
    let mut scale = if ll != 0.0 { lx / ll } else { 0.0 };
    let mut best = scale * lx;
    for step in (-9..=9).filter(|step| *step != 0) {
        let tried = round(x, trial(step));
        let (lx, ll) = sums(x, &tried);
        // lx²/ll is the part of the energy that the line explains.
        if ll > 0.0 && lx * lx > best * ll {
            (codes, scale) = (tried, lx / ll);
            best = scale * lx;
        }
    }
    (scale, codes.map(|code| (code + 32) as u8))
}

fn round(x: &[f32; 16], inverse: f32) -> [i8; 16] {
    x.map(|x| nearest(inverse * x).clamp(-32, 31) as i8)
}

/// Weighted sums of code·x and code².
fn sums(x: &[f32; 16], codes: &[i8; 16]) -> (f32, f32) {
    let (mut lx, mut ll) = (0.0, 0.0);
    for (x, code) in x.iter().zip(codes) {
        let (weight, code) = (x * x, f32::from(*code));
        lx += weight * x * code;
        ll += weight * code * code;
    }
    (lx, ll)
}
