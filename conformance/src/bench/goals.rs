//! What speed was promised, as data, and whether the medians of this run keep it. A ratio to a peer
//! of the same run says more than a speed: the machine is in both of its sides.

use super::Bench;
use super::tokenizer::{CRATE, DECODE, LOAD, O200K, SPM, TIKTOKEN};
use comfy_table::{Cell, CellAlignment, Table, presets};
use std::collections::BTreeMap;

enum Goal {
    /// At least so many MB (10⁶ bytes) a second.
    Speed(f64),
    /// At least so many times as fast as another benchmark with as many bytes.
    Times(f64, &'static str),
    /// At most so many milliseconds.
    Time(f64),
}

const GOALS: &[(&str, Goal)] = &[
    (O200K, Goal::Speed(60.0)),
    (O200K, Goal::Times(3.0, TIKTOKEN)),
    (O200K, Goal::Times(10.0, CRATE)),
    (SPM, Goal::Speed(20.0)),
    (DECODE, Goal::Speed(500.0)),
    (LOAD, Goal::Time(150.0)),
];

/// The benchmark that a goal of `name` compares with.
pub(super) fn peers(name: &str) -> impl Iterator<Item = &str> {
    GOALS.iter().filter(move |(of, _)| *of == name).filter_map(|(_, goal)| match goal {
        Goal::Times(_, peer) => Some(*peer),
        _ => None,
    })
}

/// One row a goal of a benchmark that ran; nothing if there is none.
pub(super) fn table(benches: &[Bench], medians: &BTreeMap<String, f64>) -> Option<Table> {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["benchmark", "goal", "here", ""]);
    for (name, goal) in GOALS {
        let bench = benches.iter().find(|bench| bench.name == *name);
        let (Some(bench), Some(nanoseconds)) = (bench, medians.get(*name)) else { continue };
        let Some((wanted, here, kept)) = judged(goal, bench, *nanoseconds, medians) else {
            continue;
        };
        table.add_row([
            Cell::new(name),
            Cell::new(wanted),
            Cell::new(here).set_alignment(CellAlignment::Right),
            Cell::new(if kept { "kept" } else { "missed" }),
        ]);
    }
    (table.row_count() > 0).then_some(table)
}

fn judged(
    goal: &Goal,
    bench: &Bench,
    nanoseconds: f64,
    medians: &BTreeMap<String, f64>,
) -> Option<(String, String, bool)> {
    Some(match goal {
        Goal::Speed(least) => {
            let speed = bench.bytes as f64 * 1e3 / nanoseconds;
            (format!("≥ {least} MB/s"), format!("{speed:.0} MB/s"), speed >= *least)
        }
        Goal::Times(least, peer) => {
            let times = medians.get(*peer)? / nanoseconds;
            let short = peer.rsplit("::").next().unwrap_or(peer);
            (format!("≥ {least} × {short}"), format!("{times:.1} ×"), times >= *least)
        }
        Goal::Time(most) => {
            let time = nanoseconds / 1e6;
            (format!("≤ {most} ms"), format!("{time:.0} ms"), time <= *most)
        }
    })
}
