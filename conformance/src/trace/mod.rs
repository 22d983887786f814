//! Compares what was seen inside an engine with what an oracle recorded there, tap by tap in the
//! order of the pass: the first that is off names the defect. Knows no engine and no file format.

pub mod names;

use engine::backend::taps::{Seen, Tap};
use harness::vector::Budget;
use harness::{Failure, compare};
use std::collections::BTreeMap;

/// Rows that an oracle recorded at one place, one behind the other.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Elements of a row.
    pub width: usize,
    /// The rows.
    pub values: Vec<f32>,
}

/// What an oracle recorded, by llama.cpp's names.
#[derive(Debug, Clone, Default)]
pub struct Oracle {
    /// Rows by name; the `K`th further tensor of a name is `NAME#K`.
    pub taps: BTreeMap<String, Recorded>,
    /// Who says so.
    pub provenance: String,
}

/// The family whose graph it was, and what a comparison of it may assume.
#[derive(Debug, Clone, Copy)]
pub struct Graph<'g> {
    /// `general.architecture`.
    pub family: &'g str,
    /// Whether queries and keys are rotated.
    pub rotated: bool,
}

/// A comparison in which every tap was close enough.
#[derive(Debug, Clone)]
pub struct Agreement {
    /// Taps that were compared.
    pub compared: usize,
    /// The largest error and where it was.
    pub worst: (f64, String),
}

/// The first tap that was not.
#[derive(Debug)]
pub struct Disagreement {
    /// Where; absent if nothing could be compared at all.
    pub tap: Option<Tap>,
    /// How often the place was met before.
    pub occurrence: usize,
    /// The report.
    pub failure: Failure,
}

impl From<Disagreement> for Failure {
    fn from(disagreement: Disagreement) -> Failure {
        disagreement.failure
    }
}

/// Judges all taps in order.
pub fn judge(
    seen: &[Seen],
    oracle: &Oracle,
    graph: Graph<'_>,
    budget: &Budget,
) -> Result<Agreement, Box<Disagreement>> {
    let mut agreement = Agreement { compared: 0, worst: (0.0, String::new()) };
    for one in seen {
        let red = |failure: Failure| {
            let (tap, occurrence) = (Some(one.tap), one.occurrence);
            Box::new(Disagreement { tap, occurrence, failure })
        };
        let has = |name: &str| oracle.taps.contains_key(name);
        let Some(name) = names::theirs(one, graph.rotated, has) else {
            let known = names::pair_of(one.tap.name).map_or(&[][..], |pair| pair.unnamed_in);
            if known.contains(&graph.family) {
                continue;
            }
            return Err(red(format!("{}: the oracle has no such tap", one.tap).into()));
        };
        let nmse = compare_one(one, &name, &oracle.taps[&name], oracle, budget).map_err(red)?;
        agreement.compared += 1;
        if nmse > agreement.worst.0 {
            agreement.worst = (nmse, one.tap.to_string());
        }
    }
    match agreement.compared {
        0 => {
            let failure = Failure::from("no tap was compared");
            Err(Box::new(Disagreement { tap: None, occurrence: 0, failure }))
        }
        _ => Ok(agreement),
    }
}

fn compare_one(
    one: &Seen,
    name: &str,
    recorded: &Recorded,
    oracle: &Oracle,
    budget: &Budget,
) -> Result<f64, Failure> {
    let (tap, occurrence) = (one.tap, one.occurrence);
    let what = match (occurrence, tap.layer) {
        (0, Some(layer)) => format!("layer {layer}, {tap}"),
        (n, Some(layer)) => format!("layer {layer}, {tap} (met {} times)", n + 1),
        (_, None) => format!("{tap}"),
    };
    if recorded.width != one.width {
        let (theirs, ours) = (recorded.width, one.width);
        return Err(format!("{what}: rows of {ours}, but {name} has rows of {theirs}").into());
    }
    let rows = recorded.values.len() / recorded.width;
    let comparison = compare::arrays(&what, &one.values, &recorded.values)
        .shape(&[("token", rows), ("element", one.width)])
        .provenance(&oracle.provenance);
    // Experts are picked, not computed: one that differs is another expert.
    if tap.name == "ffn_moe_topk" {
        return comparison.exactly().map(|()| 0.0);
    }
    comparison.within(budget).map(|measured| measured.nmse)
}
