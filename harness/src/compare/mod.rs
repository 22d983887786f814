//! Compares what an engine gave with what it should have given. Equal means: every element, to the
//! bit or within a budget that says why. Knows shapes and numbers, not what they mean.

mod damage;
mod element;
mod measure;
mod place;
mod report;
mod signature;

use crate::case::Failure;
use crate::vector::Budget;
pub use damage::Damage;
pub use element::Element;
pub use measure::Measured;
pub use report::Health;
pub use signature::looks_like;
use std::panic::Location;

/// Two arrays and what is known about them. Ends in [`Comparison::exactly`] or
/// [`Comparison::within`].
#[must_use = "a comparison that nobody asks checks nothing"]
pub struct Comparison<'a, T> {
    what: &'a str,
    got: &'a [T],
    want: &'a [T],
    shape: Vec<(&'a str, usize)>,
    inputs: Vec<(&'a str, Health)>,
    provenance: &'a str,
    non_finite: Option<&'a str>,
    before: Option<&'a [T]>,
}

/// Compares `got` with `want`; `what` names the thing in the report.
pub fn arrays<'a, T: Element>(what: &'a str, got: &'a [T], want: &'a [T]) -> Comparison<'a, T> {
    Comparison {
        what,
        got,
        want,
        shape: vec![("element", want.len())],
        inputs: Vec::new(),
        provenance: "",
        non_finite: None,
        before: None,
    }
}

impl<'a, T: Element> Comparison<'a, T> {
    /// The axes, slowest first: `[("token", 4), ("head", 8), ("dim", 64)]`. The last axis is a row.
    pub fn shape(mut self, shape: &[(&'a str, usize)]) -> Self {
        self.shape = shape.to_vec();
        self
    }

    /// An input whose health the report shows.
    pub fn input(mut self, name: &'a str, values: &[impl Element]) -> Self {
        self.inputs.push((name, Health::of(values)));
        self
    }

    /// Where the want comes from.
    pub fn provenance(mut self, source: &'a str) -> Self {
        self.provenance = source;
        self
    }

    /// Declares that the want may hold NaN or infinity, and why. NaNs then compare by class.
    pub fn non_finite(mut self, why: &'a str) -> Self {
        self.non_finite = Some(why);
        self
    }

    /// What the output buffer held before, to recognise an output that was never written.
    pub fn before(mut self, before: &'a [T]) -> Self {
        self.before = Some(before);
        self
    }

    /// Every element equal to the bit. NaNs compare by class where they are declared.
    #[track_caller]
    pub fn exactly(self) -> Result<(), Failure> {
        let line = Location::caller();
        self.check()?;
        let same = |g: T, w: T| {
            g.bits() == w.bits()
                || self.non_finite.is_some() && g.value().is_nan() && w.value().is_nan()
        };
        let pairs = self.got.iter().zip(self.want);
        let bad: Vec<bool> = pairs.map(|(g, w)| !same(*g, *w)).collect();
        if !bad.contains(&true) {
            return Ok(());
        }
        let measured = Measured::of(&self.values(self.got), &self.values(self.want), self.row());
        Err(self.report(bad, &measured, None, line).into())
    }

    /// Every bound that the budget names holds, over everything and over the worst row. NaN meets
    /// NaN and each infinity itself, whatever the budget. Returns what was measured.
    #[track_caller]
    pub fn within(self, budget: &Budget) -> Result<Measured, Failure> {
        let line = Location::caller();
        self.check()?;
        budget.check()?;
        let (got, want) = (self.values(self.got), self.values(self.want));
        let measured = Measured::of(&got, &want, self.row());
        let mut bad = measure::outside(&got, &want, self.row(), budget);
        if !bad.contains(&true) {
            if measured.meets(budget) {
                return Ok(measured);
            }
            bad = got.iter().zip(&want).map(|(g, w)| g != w).collect();
        }
        Err(self.report(bad, &measured, Some(budget), line).into())
    }

    /// Refuses to judge what cannot be judged.
    fn check(&self) -> Result<(), String> {
        let (got, want) = (self.got.len(), self.want.len());
        let what = self.what;
        if want == 0 {
            return Err(format!("{what}: the want is empty, so nothing was compared"));
        }
        if got != want {
            return Err(format!("{what}: got {got} elements, want {want}"));
        }
        let product: usize = self.shape.iter().map(|(_, extent)| extent).product();
        if product != want {
            let shape = report::shape(&self.shape);
            return Err(format!("{what}: the shape {shape} has {product} elements, not {want}"));
        }
        if self.before.is_some_and(|before| before.len() != want) {
            return Err(format!("{what}: the buffer before has not {want} elements"));
        }
        let odd = self.want.iter().position(|w| !w.value().is_finite());
        match (odd, self.non_finite) {
            (Some(at), None) => Err(format!(
                "{what}: the want holds {} at element {at} without declaring it",
                self.want[at].decimal()
            )),
            (_, Some("")) => Err(format!("{what}: non-finite wants are declared without a why")),
            _ => Ok(()),
        }
    }

    fn row(&self) -> usize {
        self.shape.last().map_or(1, |(_, extent)| *extent)
    }

    fn values(&self, elements: &[T]) -> Vec<f64> {
        elements.iter().map(|element| element.value()).collect()
    }

    fn report(
        &self,
        bad: Vec<bool>,
        measured: &Measured,
        budget: Option<&Budget>,
        line: &Location<'_>,
    ) -> String {
        let damage = Damage {
            got: self.values(self.got),
            want: self.values(self.want),
            before: self.before.map(|before| self.values(before)),
            axes: self.shape.iter().map(|(name, extent)| ((*name).into(), *extent)).collect(),
            bad,
        };
        report::render(self, &damage, measured, budget, line)
    }
}
