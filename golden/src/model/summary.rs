//! A tap summed up: shape, mean, rms, largest magnitude, and a few exact elements, row by row as
//! they come. Knows no names and no file.

use super::exact;
use crate::llama::taps::{Tap, Values};

/// Elements kept, evenly spaced: the middle ones of so many equal parts.
pub(super) const SAMPLES: usize = 4;

pub(super) struct Summary {
    op: String,
    /// Of one row, and all rows together.
    row: Vec<usize>,
    rows: usize,
    seen: usize,
    samples: Vec<(usize, Option<String>)>,
    /// Sum, sum of squares, largest magnitude; none for ids and other integers.
    floats: Option<(f64, f64, f32)>,
}

impl Summary {
    /// Of a tap that will have `rows` rows, of which `first` are the first.
    pub(super) fn new(first: &Tap, rows: usize) -> Self {
        let whole = first.row_len().is_none();
        // A tap whose rows do not lie one behind the other comes in one piece.
        let rows = if whole { first.shape[0] } else { rows };
        let length = rows * first.shape[1..].iter().product::<usize>();
        let at = |part: usize| (2 * part + 1) * length / (2 * SAMPLES);
        let floats = matches!(first.values, Values::Floats(_)).then_some((0.0, 0.0, 0.0));
        Self {
            op: first.op.clone(),
            row: first.shape[1..].to_vec(),
            rows,
            seen: 0,
            samples: (0..SAMPLES).map(|part| (at(part), None)).collect(),
            floats,
        }
    }

    pub(super) fn add(&mut self, tap: &Tap) {
        match &tap.values {
            Values::Floats(values) => {
                self.keep(values, |value| exact::float(*value));
                let (sum, squares, largest) = self.floats.get_or_insert_default();
                for value in values {
                    *sum += f64::from(*value);
                    *squares += f64::from(*value).powi(2);
                    *largest = largest.max(value.abs());
                }
            }
            Values::Ints(values) => self.keep(values, i32::to_string),
        }
        self.seen += tap.values.len();
    }

    fn keep<T>(&mut self, values: &[T], write: impl Fn(&T) -> String) {
        let seen = self.seen;
        for (at, sample) in &mut self.samples {
            let value = at.checked_sub(seen).and_then(|at| values.get(at));
            *sample = sample.take().or(value.map(&write));
        }
    }

    /// One line of TOML behind the name.
    pub(super) fn text(&self) -> String {
        let shape: Vec<_> = [self.rows].iter().chain(&self.row).map(usize::to_string).collect();
        let mut text = format!("{{ op = \"{}\", shape = [{}]", self.op, shape.join(", "));
        if let Some((sum, squares, largest)) = self.floats {
            let count = self.seen as f64;
            let mean = exact::float((sum / count) as f32);
            let rms = exact::float((squares / count).sqrt() as f32);
            let largest = exact::float(largest);
            text += &format!(", mean = \"{mean}\", rms = \"{rms}\", absmax = \"{largest}\"");
        }
        let samples: Vec<_> =
            self.samples.iter().map(|(_, text)| text.as_deref().unwrap_or("missing")).collect();
        text + &format!(", samples = \"{}\" }}", samples.join(" "))
    }
}
