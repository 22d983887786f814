//! Compares what was seen inside an engine with what an oracle recorded there, tap by tap in the
//! order of the pass: the first that is off names the defect. Knows no engine and no file format.

pub mod names;

use engine::backend::taps::{Seen, Tap};
use harness::vector::Budget;
use harness::{Failure, compare};
use std::collections::BTreeMap;

/// What an oracle kept of one tap, and the operation that computed it there.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// In the oracle's words.
    pub op: String,
    /// What is kept.
    pub kept: Kept,
}

/// How much an oracle kept of a tap.
#[derive(Debug, Clone)]
pub enum Kept {
    /// Every element.
    All(Vec<f32>),
    /// The elements of some tokens.
    Rows {
        /// Which tokens.
        rows: Vec<usize>,
        /// Their elements, one token behind the other.
        values: Vec<f32>,
    },
    /// How large it is on the whole, and a few elements.
    Summary {
        /// Elements of the whole.
        length: usize,
        /// Root of the mean square; absent for integers.
        rms: Option<f32>,
        /// Where the elements stand that were kept, and what they are.
        samples: Vec<(usize, f32)>,
    },
}

/// What an oracle recorded, by llama.cpp's names.
#[derive(Debug, Clone, Default)]
pub struct Oracle {
    /// Taps by name; the `K`th further tensor of a name is `NAME#K`.
    pub taps: BTreeMap<String, Recorded>,
    /// Who says so.
    pub provenance: String,
}

/// What a comparison may assume of a pass.
#[derive(Debug, Clone, Copy)]
pub struct Graph<'g> {
    /// `general.architecture`.
    pub family: &'g str,
    /// Tokens of the prompt, all computed at once.
    pub tokens: usize,
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

/// Judges all taps in order.
pub fn judge(
    seen: &[Seen],
    oracle: &Oracle,
    graph: Graph<'_>,
    budget: &Budget,
) -> Result<Agreement, Box<Disagreement>> {
    let mut agreement = Agreement { compared: 0, worst: (0.0, "nowhere".into()) };
    for one in seen {
        let red = |failure: Failure| {
            let (tap, occurrence) = (Some(one.tap), one.occurrence);
            Box::new(Disagreement { tap, occurrence, failure })
        };
        let unnamed = names::pair_of(one.tap.name).map_or(&[][..], |pair| pair.unnamed_in);
        if unnamed.contains(&graph.family) {
            continue;
        }
        let op = |name: &str| oracle.taps.get(name).map(|recorded| &*recorded.op);
        let Some(name) = names::theirs(one, op) else {
            return Err(red(format!("{}: the oracle has no such tap", one.tap).into()));
        };
        let kept = &oracle.taps[&name].kept;
        let nmse = compare_one(one, kept, oracle, graph, budget).map_err(red)?;
        agreement.compared += 1;
        if nmse > agreement.worst.0 {
            agreement.worst = (nmse, place(one));
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

/// Where something was seen, in words.
fn place(one: &Seen) -> String {
    let again = match one.occurrence {
        0 => String::new(),
        n => format!(", met {} times", n + 1),
    };
    match one.tap.layer {
        Some(layer) => format!("layer {layer}, {}{again}", one.tap),
        None => format!("{}{again}", one.tap),
    }
}

fn compare_one(
    one: &Seen,
    kept: &Kept,
    oracle: &Oracle,
    graph: Graph<'_>,
    budget: &Budget,
) -> Result<f64, Failure> {
    let what = place(one);
    let chosen;
    let (got, want) = match kept {
        Kept::All(values) => (&one.values, values),
        Kept::Rows { rows, values } => {
            let width = one.values.len() / graph.tokens;
            let row = |row: &usize| &one.values[row * width..(row + 1) * width];
            chosen = rows.iter().flat_map(row).copied().collect();
            (&chosen, values)
        }
        Kept::Summary { length, rms, samples } => {
            return summary(one, *length, *rms, samples, budget);
        }
    };
    let width = one.width.min(want.len());
    let comparison = compare::arrays(&what, got, want)
        .shape(&[("row", want.len() / width), ("element", width)])
        .provenance(&oracle.provenance);
    // Experts are picked, not computed: one that differs is another expert.
    if one.tap.name == "ffn_moe_topk" {
        return comparison.exactly().map(|()| 0.0);
    }
    comparison.within(budget).map(|measured| measured.nmse)
}

/// What a few elements and the size of the whole can say. An element may be off by five times the
/// budget's root mean square error, which normal errors exceed once in two million elements.
fn summary(
    one: &Seen,
    length: usize,
    rms: Option<f32>,
    samples: &[(usize, f32)],
    budget: &Budget,
) -> Result<f64, Failure> {
    let what = place(one);
    if one.values.len() != length {
        let ours = one.values.len();
        return Err(format!("{what}: {ours} elements, the oracle has {length}").into());
    }
    let Some(rms) = rms.map(f64::from) else {
        let off = samples.iter().find(|(at, want)| one.values[*at] != *want);
        return match off {
            None => Ok(0.0),
            Some((at, want)) => {
                let got = one.values[*at];
                Err(format!("{what}: element {at} is {got}, the oracle has {want}").into())
            }
        };
    };
    let bound = budget.nmse.ok_or("a budget without an nmse")?;
    let slack = 5.0 * bound.sqrt() * rms;
    let mut error = 0.0;
    for (at, want) in samples {
        let (got, want) = (f64::from(one.values[*at]), f64::from(*want));
        if far(got - want, slack) {
            let detail = format!(
                "{what}: element {at} is {got:e}, the oracle has {want:e}; \
                 the tap's rms is {rms:e}, so {slack:e} are allowed"
            );
            return Err(detail.into());
        }
        error += (got - want) * (got - want);
    }
    let square = |value: &f32| f64::from(*value) * f64::from(*value);
    let ours = (one.values.iter().map(square).sum::<f64>() / length as f64).sqrt();
    if far(ours - rms, bound.sqrt() * rms) {
        return Err(format!("{what}: rms {ours:e}, the oracle has {rms:e}").into());
    }
    Ok(error / (samples.len() as f64 * rms * rms))
}

/// A difference that is no number is far from everything.
fn far(difference: f64, bound: f64) -> bool {
    difference.is_nan() || difference.abs() > bound
}
