//! Looks at the rows between two verbs, under llama.cpp's names for them. Costs nothing when nobody
//! looks.

use std::fmt;

/// A place between two verbs. A name that occurs twice in a layer (`Qcur`: before and after the
/// rotation) is met in that order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tap {
    /// llama.cpp's name, without the layer.
    pub name: &'static str,
    /// Absent before the first and after the last layer.
    pub layer: Option<usize>,
}

impl fmt::Display for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.layer {
            Some(layer) => write!(f, "{}-{layer}", self.name),
            None => f.write_str(self.name),
        }
    }
}

/// Who looks.
pub trait Taps {
    /// Whether anybody looks at all. A backend that fuses verbs asks, and runs composed if so.
    fn active(&self) -> bool;

    /// Whether the rows at this place are wanted.
    fn wants(&self, tap: Tap) -> bool;

    /// The rows at this place, all of `width`.
    fn take(&mut self, tap: Tap, width: usize, values: Vec<f32>);
}

/// Nobody looks.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTaps;

impl Taps for NoTaps {
    fn active(&self) -> bool {
        false
    }

    fn wants(&self, _: Tap) -> bool {
        false
    }

    fn take(&mut self, _: Tap, _: usize, _: Vec<f32>) {}
}

/// What was seen at one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Where.
    pub tap: Tap,
    /// How often this place was met before: 0 for the first time.
    pub occurrence: usize,
    /// Elements of a row.
    pub width: usize,
    /// The rows.
    pub values: Vec<f32>,
}

/// Keeps everything that a filter lets through, in the order of the pass.
pub struct Recorder<'f> {
    filter: Box<dyn Fn(Tap) -> bool + 'f>,
    /// What was seen.
    pub seen: Vec<Seen>,
}

impl<'f> Recorder<'f> {
    /// Looks where `filter` says so.
    pub fn new(filter: impl Fn(Tap) -> bool + 'f) -> Self {
        Recorder { filter: Box::new(filter), seen: Vec::new() }
    }

    /// Looks everywhere.
    pub fn all() -> Self {
        Recorder::new(|_| true)
    }
}

impl Taps for Recorder<'_> {
    fn active(&self) -> bool {
        true
    }

    fn wants(&self, tap: Tap) -> bool {
        (self.filter)(tap)
    }

    fn take(&mut self, tap: Tap, width: usize, values: Vec<f32>) {
        let occurrence = self.seen.iter().filter(|seen| seen.tap == tap).count();
        self.seen.push(Seen { tap, occurrence, width, values });
    }
}
