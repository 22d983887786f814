//! Holds text back while it could still become a stop string, so that no part of one is ever shown.
//! Knows text, not tokens.

/// What came of a piece of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// What may be shown now.
    pub text: String,
    /// Which stop string was met, by its place in the list; nothing after it is shown.
    pub stop: Option<usize>,
}

/// A text in the making and the strings that end it.
#[derive(Debug, Clone)]
pub struct StopHolder {
    stops: Vec<String>,
    held: String,
    met: Option<usize>,
}

impl StopHolder {
    /// Empty stop strings are never met.
    pub fn new(stops: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let stops = stops.into_iter().map(Into::into).collect();
        StopHolder { stops, held: String::new(), met: None }
    }

    /// Takes the next piece of text.
    pub fn push(&mut self, piece: &str) -> Stopped {
        if self.met.is_some() {
            return Stopped { text: String::new(), stop: self.met };
        }
        self.held.push_str(piece);
        if let Some((at, stop)) = self.earliest() {
            self.met = Some(stop);
            self.held.truncate(at);
            return Stopped { text: std::mem::take(&mut self.held), stop: self.met };
        }
        let shown = self.safe_length();
        let rest = self.held.split_off(shown);
        Stopped { text: std::mem::replace(&mut self.held, rest), stop: None }
    }

    /// What was held back when the text ends without a stop string.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Where the stop string begins that is complete first, and which one it is; of two that end
    /// at one place, the longer. So the answer does not depend on how the text is cut into pieces.
    fn earliest(&self) -> Option<(usize, usize)> {
        let stops = self.stops.iter().enumerate().filter(|(_, stop)| !stop.is_empty());
        let ends = stops.filter_map(|(index, stop)| {
            let start = self.held.find(stop.as_str())?;
            Some((start + stop.len(), start, index))
        });
        ends.min().map(|(_, start, index)| (start, index))
    }

    /// How much of the held text cannot be part of a stop string any more.
    fn safe_length(&self) -> usize {
        let longest = self.stops.iter().map(String::len).max().unwrap_or(0);
        // Each place is looked at for at most `longest` bytes, so a long text costs no more.
        let from = self.held.len().saturating_sub(longest.saturating_sub(1));
        let places = self.held.char_indices().map(|(at, _)| at).filter(|at| *at >= from);
        let mut places = places.filter(|at| {
            let tail = &self.held[*at..];
            self.stops.iter().any(|stop| stop.starts_with(tail))
        });
        places.next().unwrap_or(self.held.len())
    }
}
