//! Writes a red comparison down, so that an engineer knows place and class of the mistake within a
//! minute. Decides nothing.

use super::damage::Damage;
use super::element::Element;
use super::measure::Measured;
use super::{Comparison, place, signature};
use crate::vector::Budget;
use std::fmt::Write;
use std::panic::Location;

/// How an input looks from outside.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    count: usize,
    not_finite: usize,
    zeros: usize,
    absmax: f64,
    kind: &'static str,
}

impl Health {
    /// The health of some values.
    pub fn of<T: Element>(values: &[T]) -> Health {
        let mut health =
            Health { count: values.len(), not_finite: 0, zeros: 0, absmax: 0.0, kind: T::NAME };
        for value in values.iter().map(|value| value.value()) {
            health.not_finite += usize::from(!value.is_finite());
            health.zeros += usize::from(value == 0.0);
            if value.is_finite() {
                health.absmax = health.absmax.max(value.abs());
            }
        }
        health
    }

    fn text(&self) -> String {
        let Health { count, not_finite, zeros, absmax, kind } = self;
        let finite = match not_finite {
            0 => "all finite".to_owned(),
            some => format!("{some} NOT FINITE"),
        };
        let share = 100.0 * *zeros as f64 / (*count).max(1) as f64;
        format!("{count} {kind}, {finite}, absmax {absmax:.6e}, {share:.1} % zeros")
    }
}

/// `4 token × 64 dim`.
pub(super) fn shape(axes: &[(&str, usize)]) -> String {
    let axes: Vec<String> = axes.iter().map(|(name, extent)| format!("{extent} {name}")).collect();
    axes.join(" × ")
}

pub(super) fn render<T: Element>(
    comparison: &Comparison<'_, T>,
    damage: &Damage,
    measured: &Measured,
    budget: Option<&Budget>,
    line: &Location<'_>,
) -> String {
    let Comparison { what, got, want, .. } = comparison;
    let mode = if budget.is_some() { "within its budget" } else { "exact" };
    let axes = shape(&comparison.shape);
    let mut text = format!("{what}: not {mode} ({axes}, {})\n", T::NAME);
    // Writing to a String cannot fail.
    let mut row = |head: &str, body: String| {
        let _ = writeln!(text, "  {head:9} {body}");
    };
    let (first, worst) = damage.first_and_worst();
    row("worst", element(damage, got, want, worst));
    if first != worst {
        row("first", element(damage, got, want, first));
    }
    row("extent", extent(damage));
    row("measured", figures(measured));
    if let Some(budget) = budget {
        let bounds: Vec<String> =
            budget.bounds().map(|(name, bound)| format!("{name} {bound:e}")).collect();
        row("budget", format!("{} ({})", bounds.join(", "), budget.why));
    }
    row("looks like", signature::looks_like(damage));
    for (name, health) in &comparison.inputs {
        row("input", format!("{name}: {}", health.text()));
    }
    let odd = damage.want.iter().any(|want| !want.is_finite());
    if let Some(why) = comparison.non_finite.filter(|_| odd) {
        row("declared", format!("not finite: {why}"));
    }
    if !comparison.provenance.is_empty() {
        row("want from", comparison.provenance.into());
    }
    row("code", format!("{}:{}", line.file(), line.line()));
    text.truncate(text.trim_end().len());
    text
}

fn element<T: Element>(damage: &Damage, got: &[T], want: &[T], at: usize) -> String {
    let indices = damage.coordinates(at);
    let named = damage.axes.iter().zip(indices).map(|((name, _), index)| format!("{name} {index}"));
    let hex = |x: T| format!("0x{:0width$x} ({})", x.bits(), x.decimal(), width = T::DIGITS);
    let off = damage.got[at] - damage.want[at];
    let place = named.collect::<Vec<_>>().join(", ");
    format!("[{place}] got {}, want {}, off by {off:.3e}", hex(got[at]), hex(want[at]))
}

fn extent(damage: &Damage) -> String {
    let (bad, all) = (damage.count(), damage.bad.len());
    let ranges = damage.axes.iter().enumerate().filter_map(|(axis, (name, _))| {
        let (low, high) = place::range(damage, axis)?;
        Some(if low == high { format!("{name} {low}") } else { format!("{name} {low}..={high}") })
    });
    let share = 100.0 * bad as f64 / all.max(1) as f64;
    let ranges = ranges.collect::<Vec<_>>().join(", ");
    format!("{bad} of {all} elements ({share:.1} %), within {ranges}")
}

fn figures(measured: &Measured) -> String {
    let Measured { nmse, worst_row_nmse, worst_row, max_abs, max_rel, class_errors } = measured;
    format!(
        "nmse {nmse:.3e}, worst row {worst_row}: {worst_row_nmse:.3e}, max abs {max_abs:.3e}, \
         max rel {max_rel:.3e}, NaN/Inf out of place {class_errors}"
    )
}
