//! The wrong elements of an array, with everything a signature may look at.

/// Two arrays that differ, and where.
#[derive(Debug, Clone)]
pub struct Damage {
    /// What came.
    pub got: Vec<f64>,
    /// What should have come.
    pub want: Vec<f64>,
    /// What the buffer held before, if known.
    pub before: Option<Vec<f64>>,
    /// Which elements are wrong.
    pub bad: Vec<bool>,
    /// Names and extents of the axes, slowest first.
    pub axes: Vec<(String, usize)>,
}

impl Damage {
    /// Flat indices of the wrong elements.
    pub fn places(&self) -> impl Iterator<Item = usize> + '_ {
        self.bad.iter().enumerate().filter(|(_, bad)| **bad).map(|(at, _)| at)
    }

    /// Got and want of each wrong element.
    pub fn pairs(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.places().map(|at| (self.got[at], self.want[at]))
    }

    /// How many elements are wrong.
    pub fn count(&self) -> usize {
        self.places().count()
    }

    /// Extent of the last axis.
    pub fn row(&self) -> usize {
        self.axes.last().map_or(1, |(_, extent)| *extent)
    }

    /// Index of the flat place `at` along each axis.
    pub fn coordinates(&self, at: usize) -> Vec<usize> {
        let mut rest = at;
        let mut indices = vec![0; self.axes.len()];
        for (index, (_, extent)) in indices.iter_mut().zip(&self.axes).rev() {
            *index = rest % extent;
            rest /= extent;
        }
        indices
    }

    /// The first wrong element, and the one that is furthest off.
    pub fn first_and_worst(&self) -> (usize, usize) {
        let off = |at: usize| {
            let error = (self.got[at] - self.want[at]).abs();
            if error.is_nan() { f64::INFINITY } else { error }
        };
        let first = self.places().next().unwrap_or(0);
        let worst =
            self.places().fold(first, |worst, at| if off(at) > off(worst) { at } else { worst });
        (first, worst)
    }
}
