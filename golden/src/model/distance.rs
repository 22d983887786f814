//! How far two matrices of logits are apart. Knows no model.

use super::exact;

/// Lines of TOML: who else answered, `nmse` over everything, the worst row's, and how many rows
/// have another likeliest token.
pub(super) fn between(who: &str, is: &[f32], wanted: &[f32], width: usize) -> String {
    let pairs = || is.chunks_exact(width).zip(wanted.chunks_exact(width));
    let rows: Vec<f64> = pairs().map(|(is, wanted)| nmse(is, wanted)).collect();
    let worst = rows.iter().copied().fold(0.0, f64::max);
    let others = pairs().filter(|(is, wanted)| top(is) != top(wanted)).count();
    format!(
        "who = \"{who}\"\nnmse = \"{}\"\nworst-row-nmse = \"{}\"\nother-top-1 = {others}",
        exact::float(nmse(is, wanted) as f32),
        exact::float(worst as f32),
    )
}

/// Squared error over the wanted values' squares.
pub(crate) fn nmse(is: &[f32], wanted: &[f32]) -> f64 {
    let square = |value: f64| value * value;
    let pairs = is.iter().zip(wanted);
    let error: f64 = pairs.map(|(is, wanted)| square(f64::from(*is) - f64::from(*wanted))).sum();
    let whole: f64 = wanted.iter().map(|value| square(f64::from(*value))).sum();
    if error == 0.0 { 0.0 } else { error / whole }
}

fn top(row: &[f32]) -> usize {
    let best = |best, (id, logit): (usize, &f32)| if *logit > row[best] { id } else { best };
    row.iter().enumerate().fold(0, best)
}
