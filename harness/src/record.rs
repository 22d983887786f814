//! What a run leaves behind: the lines of `results.jsonl`. Knows the format and the rule by which
//! two lines about one case become one verdict, not where the lines lie.

use crate::case::{Deviation, Figure, Lane};
use crate::machine::Machine;
use serde::{Deserialize, Serialize};

/// Version of the format; a reader refuses any other.
pub const SCHEMA: u32 = 1;

/// The four ends of a case, never mixed; ordered by what wins where two lines meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Not run: this machine lacks something.
    Ignored,
    /// True.
    Pass,
    /// Differs from an oracle on purpose, or fails as it is known to.
    Deviation,
    /// Not true.
    Fail,
}

impl Verdict {
    /// The verdict as the results file spells it.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Ignored => "ignored",
            Verdict::Pass => "pass",
            Verdict::Deviation => "deviation",
            Verdict::Fail => "fail",
        }
    }
}

/// One case's line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Record {
    /// The case.
    pub name: String,
    /// How it ended.
    pub verdict: Verdict,
    /// Why, unless it passed: the whole failure report, or what the machine lacks.
    pub reason: Option<String>,
    /// Deviations met.
    pub deviations: Vec<Deviation>,
    /// Numbers measured.
    pub figures: Vec<Figure>,
    /// Wall-clock time of the body.
    pub ms: f64,
    /// Requirement ids that the case answers.
    pub requirements: Vec<String>,
    /// Capabilities that the case needs.
    pub needs: Vec<String>,
    /// The queue it stood in.
    pub lane: Lane,
    /// Ids of the runs that said so.
    pub runs: Vec<String>,
}

/// The first line of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RunHeader {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// Unique to the run.
    pub id: String,
    /// What it ran on.
    pub machine: Machine,
    /// How many cases the suite holds, run or not: a merged report must have heard of each.
    pub cases: usize,
    /// The command line's filters; `None` where everything was meant to run.
    pub filter: Option<String>,
    /// Capabilities that were required.
    pub required: Vec<String>,
}

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Line {
    /// A run began.
    Run(RunHeader),
    /// A case began. Where no verdict follows, the process died in it.
    Begin {
        /// The case.
        name: String,
        /// The run.
        run: String,
    },
    /// A case ended.
    Case(Record),
}

/// Two lines about one case become one. Executed beats ignored; equal verdicts stay; two different
/// verdicts of executed runs are a failure, because a case is true or it is not.
pub fn unite(one: Record, other: Record) -> Record {
    let (low, mut high) = if one.verdict <= other.verdict { (one, other) } else { (other, one) };
    if low.verdict != Verdict::Ignored && low.verdict != high.verdict {
        let reason = high.reason.take().unwrap_or_default();
        high.reason = Some(format!(
            "runs disagree: {} in {}, {} in {}\n{reason}",
            high.verdict.word(),
            high.runs.join(", "),
            low.verdict.word(),
            low.runs.join(", "),
        ));
        high.verdict = Verdict::Fail;
    }
    if low.verdict != Verdict::Ignored || high.verdict == Verdict::Ignored {
        let new = low.runs.into_iter().filter(|run| !high.runs.contains(run)).collect::<Vec<_>>();
        high.runs.extend(new);
    }
    high
}
