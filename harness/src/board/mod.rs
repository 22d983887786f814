//! The scoreboard: what a report says, summed up for people and machines. The text, Markdown and
//! JSON forms show the same numbers.

pub mod markdown;
pub mod text;

use crate::record::{Record, Verdict};
use crate::results::Report;
use serde::Serialize;
use std::collections::BTreeMap;

/// First words of names that are backends; the suite is then the second word.
const BACKENDS: [&str; 2] = ["cpu", "cuda"];

/// How many cases ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// True.
    pub pass: usize,
    /// Not true.
    pub fail: usize,
    /// Different on purpose.
    pub deviation: usize,
    /// Not run.
    pub ignored: usize,
}

impl Counts {
    fn add(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Pass => self.pass += 1,
            Verdict::Fail => self.fail += 1,
            Verdict::Deviation => self.deviation += 1,
            Verdict::Ignored => self.ignored += 1,
        }
    }

    /// How many ran.
    pub fn executed(&self) -> usize {
        self.pass + self.fail + self.deviation
    }
}

/// A line of the scoreboard.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// `vectors`, `golden`, …
    pub suite: String,
    /// `cpu`, `cuda`, or empty where the suite needs none.
    pub backend: String,
    /// Its verdicts.
    pub counts: Counts,
    /// Time of its bodies together.
    pub ms: f64,
}

/// A deviation and who met it.
#[derive(Debug, Clone, Serialize)]
pub struct Deviating {
    /// Stable id.
    pub id: String,
    /// Why we differ.
    pub reason: String,
    /// Names of the cases.
    pub cases: Vec<String>,
}

/// A requirement and its cases.
#[derive(Debug, Clone, Serialize)]
pub struct Requirement {
    /// `C06`, `M0-W-1822`, …
    pub id: String,
    /// The verdicts of its cases.
    pub counts: Counts,
    /// Names of the cases.
    pub cases: Vec<String>,
}

/// Everything the scoreboard shows.
#[derive(Debug, Clone, Serialize)]
pub struct Board {
    /// Whether the subject holds: something ran and nothing failed.
    pub green: bool,
    /// All cases.
    pub total: Counts,
    /// Suite by suite.
    pub rows: Vec<Row>,
    /// What differs on purpose.
    pub deviations: Vec<Deviating>,
    /// What did not run: reason and how many cases.
    pub ignored: BTreeMap<String, usize>,
    /// Requirement by requirement.
    pub requirements: Vec<Requirement>,
    /// The cases that took longest.
    pub slowest: Vec<(String, f64)>,
    /// What failed, in full.
    pub failures: Vec<Record>,
    /// The machines, one line each.
    pub machines: Vec<String>,
}

const SLOWEST: usize = 5;

impl Board {
    /// Sums up a report.
    pub fn of(report: &Report) -> Board {
        let mut total = Counts::default();
        let mut rows: BTreeMap<(&str, &str), (Counts, f64)> = BTreeMap::new();
        let mut ignored = BTreeMap::new();
        for case in &report.cases {
            total.add(case.verdict);
            let row = rows.entry(suite_and_backend(&case.name)).or_default();
            row.0.add(case.verdict);
            row.1 += case.ms;
            if case.verdict == Verdict::Ignored {
                *ignored.entry(case.reason.clone().unwrap_or_default()).or_default() += 1;
            }
        }
        let rows = rows.into_iter().map(|((suite, backend), (counts, ms))| Row {
            suite: suite.into(),
            backend: backend.into(),
            counts,
            ms,
        });
        let failures = report.cases.iter().filter(|case| case.verdict == Verdict::Fail);
        Board {
            green: total.fail == 0 && total.executed() > 0,
            total,
            rows: rows.collect(),
            deviations: deviations(report),
            ignored,
            requirements: requirements(report),
            slowest: slowest(report),
            failures: failures.cloned().collect(),
            machines: machines(report),
        }
    }
}

/// The suite and the backend that a name speaks of.
pub fn suite_and_backend(name: &str) -> (&str, &str) {
    let mut words = name.split("::");
    let first = words.next().unwrap_or_default();
    match BACKENDS.contains(&first) {
        true => (words.next().unwrap_or_default(), first),
        false => (first, ""),
    }
}

fn deviations(report: &Report) -> Vec<Deviating> {
    let mut met: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for case in report.cases.iter().filter(|case| case.verdict == Verdict::Deviation) {
        for deviation in &case.deviations {
            let key = (deviation.id.as_str(), deviation.reason.as_str());
            met.entry(key).or_default().push(case.name.clone());
        }
        // A known failure declares nothing; its reason's first line says what is known.
        if case.deviations.is_empty() {
            let reason = case.reason.as_deref().unwrap_or_default();
            let known = reason.lines().next().unwrap_or_default();
            met.entry(("known-failure", known)).or_default().push(case.name.clone());
        }
    }
    let met = met.into_iter();
    met.map(|((id, reason), cases)| Deviating { id: id.into(), reason: reason.into(), cases })
        .collect()
}

fn requirements(report: &Report) -> Vec<Requirement> {
    let mut found: BTreeMap<&str, (Counts, Vec<String>)> = BTreeMap::new();
    for case in &report.cases {
        for id in &case.requirements {
            let (counts, cases) = found.entry(id).or_default();
            counts.add(case.verdict);
            cases.push(case.name.clone());
        }
    }
    let found = found.into_iter();
    found.map(|(id, (counts, cases))| Requirement { id: id.into(), counts, cases }).collect()
}

fn slowest(report: &Report) -> Vec<(String, f64)> {
    let mut times: Vec<(String, f64)> =
        report.cases.iter().map(|case| (case.name.clone(), case.ms)).collect();
    times.sort_by(|a, b| b.1.total_cmp(&a.1));
    times.truncate(SLOWEST);
    times
}

fn machines(report: &Report) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for run in &report.runs {
        let machine = &run.machine;
        let revision = machine.revision.chars().take(12).collect::<String>();
        let changed = if machine.revision.ends_with('+') { "+" } else { "" };
        let line = format!(
            "{}, {}, {} threads, {} build of {} {revision}{changed}",
            machine.os, machine.cpu, machine.threads, machine.profile, machine.version
        );
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}
