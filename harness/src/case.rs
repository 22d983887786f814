//! A case: a name, what it needs, and a body that ends in a verdict. Knows nothing of how cases
//! are listed or reported.

use serde::{Deserialize, Serialize};
use std::fmt::Display;

/// A case's place in the queue. It follows from the case's name, so that nextest, which knows only
/// names, and the runner's own locks always agree (`.config/nextest.toml`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// No shared resource: as many at a time as there are threads.
    Any,
    /// Owns the accelerator: one at a time.
    Gpu,
    /// Listens on a socket: few at a time.
    Server,
}

/// What a benchmark's name begins with in the ordinary run; its lane is that of the rest.
pub const SMOKE: &str = "bench-smoke::";

/// Each lane that is narrow: the first word of its cases' names, and how many may run at a time.
pub const LANES: [(Lane, &str, usize); 2] = [(Lane::Gpu, "cuda", 1), (Lane::Server, "http", 4)];

impl Lane {
    /// The lane of the case `name`.
    pub fn of(name: &str) -> Lane {
        let first = name.strip_prefix(SMOKE).unwrap_or(name).split("::").next();
        let row = LANES.iter().find(|(_, word, _)| first == Some(*word));
        row.map_or(Lane::Any, |(lane, _, _)| *lane)
    }
}

/// Why a case failed, as text for a human.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// The text of the failure.
    pub fn text(&self) -> &str {
        &self.0
    }
}

// `Failure` itself is not `Display`, so this covers strings and every error type alike.
impl<T: Display> From<T> for Failure {
    fn from(reason: T) -> Self {
        Failure(reason.to_string())
    }
}

/// A difference from an oracle that we keep on purpose.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Deviation {
    /// Stable id, e.g. `ggml-neg-zero`.
    pub id: String,
    /// What differs and why we keep it.
    pub reason: String,
}

/// A number a case measured, kept in the results.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub struct Figure {
    /// What was measured, e.g. `nmse`.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// Its unit, `""` for a pure number.
    pub unit: String,
}

/// What a running case may write down beside passing or failing.
#[derive(Debug, Default)]
pub struct Run {
    /// Deviations the case met; a case that met one ends as `deviation`, not as `pass`.
    pub deviations: Vec<Deviation>,
    /// Numbers for the results file.
    pub figures: Vec<Figure>,
}

impl Run {
    /// Writes down a number.
    pub fn figure(&mut self, name: &str, value: f64, unit: &str) {
        self.figures.push(Figure { name: name.into(), value, unit: unit.into() });
    }

    /// Declares that the engine differs here from the oracle, on purpose.
    pub fn deviation(&mut self, id: &str, reason: &str) {
        let deviation = Deviation { id: id.into(), reason: reason.into() };
        if !self.deviations.contains(&deviation) {
            self.deviations.push(deviation);
        }
    }
}

/// What a case's body is.
pub type Body = Box<dyn Fn(&mut Run) -> Result<(), Failure> + Send + Sync>;

/// One thing that must be true.
pub struct Case {
    /// Path-like name, e.g. `vectors::mxfp4::dequant::subnormal-neg`.
    pub name: String,
    /// Requirement ids this case answers (`C06`, `M0-W-1822`).
    pub requirements: Vec<String>,
    /// Capabilities the machine must have (`cuda`, `llama-cpp-models`); see `capability`.
    pub needs: Vec<String>,
    /// Set when the case is known to fail: it still runs, and must fail.
    pub known_failure: Option<String>,
    /// The check itself.
    pub body: Body,
}

impl Case {
    /// A case that needs nothing special.
    pub fn new(
        name: impl Into<String>,
        body: impl Fn(&mut Run) -> Result<(), Failure> + Send + Sync + 'static,
    ) -> Self {
        Case {
            name: name.into(),
            requirements: Vec::new(),
            needs: Vec::new(),
            known_failure: None,
            body: Box::new(body),
        }
    }

    /// Adds requirement ids.
    pub fn requirements<S: Into<String>>(mut self, ids: impl IntoIterator<Item = S>) -> Self {
        self.requirements.extend(ids.into_iter().map(Into::into));
        self
    }

    /// Adds a capability without which the case is ignored, with the capability's reason.
    pub fn needs(mut self, capability: &str) -> Self {
        self.needs.push(capability.into());
        self
    }

    /// Marks the case as a known failure: it runs, and passing is red.
    pub fn known_failure(mut self, reason: &str) -> Self {
        self.known_failure = Some(reason.into());
        self
    }
}
