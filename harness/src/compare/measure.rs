//! The distances between two arrays, and which elements a budget does not cover. Everything is
//! computed in f64; a row is the last axis.

use crate::case::Run;
use crate::vector::Budget;

/// How far apart two arrays are. Elements that are not finite in both count by class only.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Squared error over squared want, over everything.
    pub nmse: f64,
    /// The same over the worst single row.
    pub worst_row_nmse: f64,
    /// Which row that is.
    pub worst_row: usize,
    /// Largest absolute difference.
    pub max_abs: f64,
    /// Largest difference relative to its want, where the want is not zero.
    pub max_rel: f64,
    /// Elements where one is NaN or infinite and the other is not the same.
    pub class_errors: usize,
}

impl Measured {
    /// Writes the distances into the results as `PREFIX-nmse` and so on.
    pub fn record(&self, run: &mut Run, prefix: &str) {
        let figures = [
            ("nmse", self.nmse),
            ("worst-row-nmse", self.worst_row_nmse),
            ("max-abs", self.max_abs),
            ("max-rel", self.max_rel),
        ];
        for (name, value) in figures {
            run.figure(&format!("{prefix}-{name}"), value, "");
        }
    }

    pub(super) fn of(got: &[f64], want: &[f64], row: usize) -> Measured {
        let mut measured = Measured {
            nmse: nmse(got, want),
            worst_row_nmse: 0.0,
            worst_row: 0,
            max_abs: 0.0,
            max_rel: 0.0,
            class_errors: 0,
        };
        for (index, (g, w)) in got.chunks(row).zip(want.chunks(row)).enumerate() {
            let of_row = nmse(g, w);
            if of_row > measured.worst_row_nmse {
                (measured.worst_row_nmse, measured.worst_row) = (of_row, index);
            }
        }
        for (g, w) in got.iter().zip(want) {
            if !g.is_finite() || !w.is_finite() {
                measured.class_errors += usize::from(!same_class(*g, *w));
                continue;
            }
            let error = (g - w).abs();
            measured.max_abs = measured.max_abs.max(error);
            if *w != 0.0 {
                measured.max_rel = measured.max_rel.max(error / w.abs());
            }
        }
        measured
    }

    pub(super) fn meets(&self, budget: &Budget) -> bool {
        let below = |value: f64, bound: Option<f64>| bound.is_none_or(|bound| value <= bound);
        self.class_errors == 0
            && below(self.nmse, budget.nmse)
            && below(self.worst_row_nmse, budget.worst_row_nmse.or(budget.nmse))
    }
}

/// Which elements the budget does not cover: each that breaks an element bound, and, where a mean
/// is bounded, each that is above what that mean allows for an even spread.
pub(super) fn outside(got: &[f64], want: &[f64], row: usize, budget: &Budget) -> Vec<bool> {
    let overall = budget.nmse.map(|bound| bound * mean_square(want));
    let by_row = budget.worst_row_nmse.or(budget.nmse);
    let mut bad = Vec::with_capacity(want.len());
    let over_all = budget.nmse.is_some_and(|bound| nmse(got, want) > bound);
    for (got, want) in got.chunks(row).zip(want.chunks(row)) {
        let over_row = by_row.is_some_and(|bound| nmse(got, want) > bound);
        let of_row = by_row.map(|bound| bound * mean_square(want));
        for (g, w) in got.iter().zip(want) {
            let square = (g - w) * (g - w);
            let above = |bound: Option<f64>| bound.is_some_and(|bound| square > bound);
            bad.push(
                !same_class(*g, *w)
                    || w.is_finite()
                        && (breaks_element_bound(*g, *w, budget)
                            || over_row && above(of_row)
                            || over_all && above(overall)),
            );
        }
    }
    bad
}

fn breaks_element_bound(got: f64, want: f64, budget: &Budget) -> bool {
    if budget.abs.is_none() && budget.rel.is_none() {
        return false;
    }
    let allowed = budget.abs.unwrap_or(0.0) + budget.rel.unwrap_or(0.0) * want.abs();
    (got - want).abs() > allowed
}

/// Whether both are finite, both NaN, or the same infinity.
fn same_class(got: f64, want: f64) -> bool {
    got.is_finite() && want.is_finite() || got.is_nan() && want.is_nan() || got == want
}

fn mean_square(want: &[f64]) -> f64 {
    let squares = want.iter().filter(|w| w.is_finite()).map(|w| w * w);
    squares.sum::<f64>() / want.len().max(1) as f64
}

fn nmse(got: &[f64], want: &[f64]) -> f64 {
    let (mut error, mut energy) = (0.0, 0.0);
    for (g, w) in got.iter().zip(want).filter(|(g, w)| g.is_finite() && w.is_finite()) {
        error += (g - w) * (g - w);
        energy += w * w;
    }
    // A want of zeros allows no error at all, and a sum that overflowed allows none either.
    let ratio: f64 = if error == 0.0 { 0.0 } else { error / energy };
    if ratio.is_nan() { f64::INFINITY } else { ratio }
}
