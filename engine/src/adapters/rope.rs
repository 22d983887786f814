//! Rotary position embedding as data, and the angles it makes. One table of cosines and sines per
//! position is computed here in f64 and used by every backend, so that all share its bits. Knows
//! no tensor and no kernel.

/// Which elements of a head turn together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Element `i` and element `i + dims / 2`.
    Neox,
    /// Elements `2 i` and `2 i + 1`.
    Normal,
}

/// A rotation of heads by position.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// Which elements turn together.
    pub style: Style,
    /// How many elements of a head turn; the rest stay.
    pub dims: usize,
    /// The slowest pair turns about once in `2π · base` positions.
    pub base: f32,
    /// How angles are stretched for sequences longer than the model was first trained on.
    pub scaling: Scaling,
    /// Divides the frequency of each pair.
    pub factors: Factors,
    /// Multiplies every rotated element.
    pub magnitude: f32,
    /// How an angle is computed.
    pub arithmetic: Arithmetic,
}

/// How angles are stretched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scaling {
    /// Not at all.
    None,
    /// All by the same factor.
    Linear {
        /// Divides every angle.
        factor: f32,
    },
    /// Slow pairs by the factor, fast pairs not at all, those between in proportion.
    Yarn {
        /// Divides the angle of slow pairs.
        factor: f32,
        /// Positions the model was first trained on.
        original: u32,
        /// Pairs that turn more often than this within `original` positions are fast.
        fast: f32,
        /// Pairs that turn less often than this are slow.
        slow: f32,
        /// Whether the borders between fast and slow are whole pairs. Deviation
        /// `yarn-rounded-borders` where the model's maker says no.
        rounded: bool,
    },
}

/// Numbers that divide the frequency of each pair.
#[derive(Debug, Clone, PartialEq)]
pub enum Factors {
    /// None.
    None,
    /// The same for every sequence.
    Fixed(Vec<f32>),
    /// One set for short sequences, one for long ones. A sequence declares its whole length when
    /// it starts, so that its first token is not computed with other factors than its last.
    ByLength {
        /// The longest sequence that is short.
        original: u32,
        /// For sequences up to `original`.
        short: Vec<f32>,
        /// For longer ones.
        long: Vec<f32>,
    },
}

/// How an angle is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// In f64 from the pair's own frequency.
    Exact,
    /// In f32, each pair's angle from the one before by multiplication, as ggml does on the CPU.
    /// Deviation `rope-f32-recurrence`.
    F32Recurrence,
}

/// A rotation for sequences of one length: what does not depend on the position is worked out once.
#[derive(Debug, Clone)]
pub struct Turner<'r> {
    rope: &'r Rope,
    factors: Option<&'r [f32]>,
    frequencies: Vec<f64>,
}

impl Turner<'_> {
    /// Cosine and sine of each pair, times the magnitude, for a row at `position`.
    pub fn turn(&self, position: u32, cos: &mut [f32], sin: &mut [f32]) {
        let Turner { rope, factors, frequencies } = self;
        if rope.arithmetic == Arithmetic::F32Recurrence {
            return rope.recurrence(position, factor_of(*factors), cos, sin);
        }
        let magnitude = f64::from(rope.magnitude);
        for ((cos, sin), frequency) in cos.iter_mut().zip(sin).zip(frequencies) {
            let (s, c) = (f64::from(position) * frequency).sin_cos();
            (*cos, *sin) = ((c * magnitude) as f32, (s * magnitude) as f32);
        }
    }
}

/// What each pair's frequency is divided by.
fn factor_of(factors: Option<&[f32]>) -> impl Fn(usize) -> f32 {
    move |pair| factors.and_then(|all| all.get(pair)).copied().unwrap_or(1.0)
}

impl Rope {
    /// How many pairs turn.
    pub fn pairs(&self) -> usize {
        self.dims / 2
    }

    /// What turns rows of a sequence that was declared to have `total` positions.
    pub fn turner(&self, total: u32) -> Turner<'_> {
        let factors = match &self.factors {
            Factors::None => None,
            Factors::Fixed(factors) => Some(factors.as_slice()),
            Factors::ByLength { original, short, .. } if total <= *original => Some(&short[..]),
            Factors::ByLength { long, .. } => Some(&long[..]),
        };
        let frequencies = match self.arithmetic {
            Arithmetic::Exact => self.frequencies(factor_of(factors)),
            Arithmetic::F32Recurrence => Vec::new(),
        };
        Turner { rope: self, factors, frequencies }
    }

    /// Cosine and sine of each pair, times the magnitude, for a row at `position` of a sequence
    /// that was declared to have `total` positions.
    pub fn turn(&self, position: u32, total: u32, cos: &mut [f32], sin: &mut [f32]) {
        self.turner(total).turn(position, cos, sin);
    }

    /// Radians a position of each pair, in exact arithmetic.
    fn frequencies(&self, factor: impl Fn(usize) -> f32) -> Vec<f64> {
        let one = |pair: usize| {
            let exponent = -2.0 * pair as f64 / self.dims as f64;
            let full = f64::from(self.base).powf(exponent) / f64::from(factor(pair));
            let kept = self.kept(pair);
            full * (kept + (1.0 - kept) * self.stretch())
        };
        (0..self.pairs()).map(one).collect()
    }

    fn recurrence(
        &self,
        position: u32,
        factor: impl Fn(usize) -> f32,
        cos: &mut [f32],
        sin: &mut [f32],
    ) {
        let step = self.base.powf(-2.0 / self.dims as f32);
        let stretch = self.stretch() as f32;
        let mut unscaled = position as f32;
        for (pair, (cos, sin)) in cos.iter_mut().zip(sin).enumerate() {
            let full = unscaled / factor(pair);
            let slow = stretch * full;
            let angle = match self.scaling {
                Scaling::Yarn { .. } => {
                    let kept = self.kept(pair) as f32;
                    slow * (1.0 - kept) + full * kept
                }
                _ => slow,
            };
            (*cos, *sin) = (angle.cos() * self.magnitude, angle.sin() * self.magnitude);
            unscaled *= step;
        }
    }

    /// What the angle of a slow pair is multiplied with.
    fn stretch(&self) -> f64 {
        match self.scaling {
            Scaling::None => 1.0,
            Scaling::Linear { factor } | Scaling::Yarn { factor, .. } => 1.0 / f64::from(factor),
        }
    }

    /// How much of a pair's full angle is kept: 1 for fast pairs, 0 for slow ones.
    fn kept(&self, pair: usize) -> f64 {
        match self.scaling {
            Scaling::None => 1.0,
            Scaling::Linear { .. } => 0.0,
            Scaling::Yarn { .. } => {
                let (low, high) = self.borders();
                // ggml's guard against borders that coincide.
                let width = (high - low).max(0.001);
                1.0 - ((pair as f64 - low) / width).clamp(0.0, 1.0)
            }
        }
    }

    /// The pair where YaRN begins to stretch, and the one from which it stretches fully.
    pub fn borders(&self) -> (f64, f64) {
        let Scaling::Yarn { original, fast, slow, rounded, .. } = self.scaling else {
            return (0.0, 0.0);
        };
        let dims = self.dims as f64;
        let pair = |turns: f32| {
            let turn = f64::from(original) / (f64::from(turns) * std::f64::consts::TAU);
            dims * turn.ln() / (2.0 * f64::from(self.base).ln())
        };
        let (mut low, mut high) = (pair(fast), pair(slow));
        if rounded {
            (low, high) = (low.floor(), high.ceil());
        }
        (low.max(0.0), high.min(dims - 1.0))
    }
}
