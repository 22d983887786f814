//! Each mistake that the comparer claims to recognise, made on purpose.

use harness::compare::{Damage, looks_like};
use harness::{Case, Failure};

const TOKENS: usize = 4;
const HEADS: usize = 3;
const DIM: usize = 64;

/// A mistake: what the line must say, and how to make it. `spoil` gets the right values of 4 tokens
/// × 3 heads × 64 dims and returns the wrong ones.
struct Mistake {
    name: &'static str,
    says: &'static [&'static str],
    spoil: fn(&[f64]) -> Vec<f64>,
}

const MISTAKES: &[Mistake] = &[
    Mistake {
        name: "one-head",
        says: &["constant ratio 0.5", "one head (1)"],
        spoil: |want| each(want, |at, w| if head(at) == 1 { w * 0.5 } else { w }),
    },
    Mistake {
        name: "one-token",
        says: &["constant offset", "one token (2)"],
        spoil: |want| each(want, |at, w| if token(at) == 2 { w + 3.0 } else { w }),
    },
    Mistake {
        name: "one-head-of-one-token",
        says: &["one token (2), one head (1)"],
        spoil: |want| each(want, |at, w| if (token(at), head(at)) == (2, 1) { w + 3.0 } else { w }),
    },
    Mistake {
        name: "one-block-of-32",
        says: &["all zeros", "one block of 32 (from [1, 0, 32])"],
        spoil: |want| each(want, |at, w| if at / 32 == 7 { 0.0 } else { w }),
    },
    Mistake {
        name: "one-element",
        says: &["one element"],
        spoil: |want| each(want, |at, w| if at == 77 { w + 1.0 } else { w }),
    },
    Mistake {
        name: "after-a-position",
        says: &["every token from 2 on"],
        spoil: |want| each(want, |at, w| if token(at) >= 2 { (w * 3.7).sin() + 9.0 } else { w }),
    },
    Mistake {
        name: "halves-swapped",
        says: &["halves swapped", "each block of 32"],
        spoil: |want| reorder(want, 32, |i| (i + 16) % 32),
    },
    Mistake {
        name: "neighbours-swapped",
        says: &["neighbours swapped"],
        spoil: |want| reorder(want, 32, |i| i ^ 1),
    },
    Mistake {
        name: "split-read-as-interleaved",
        says: &["split nibbles or halves read as interleaved in each block of 32"],
        spoil: |want| reorder(want, 32, |i| i / 2 + i % 2 * 16),
    },
    Mistake {
        name: "interleaved-read-as-split",
        says: &["interleaved nibbles or pairs read as split in each row"],
        spoil: |want| reorder(want, DIM, |i| i % 32 * 2 + i / 32),
    },
    Mistake {
        name: "rotated-neighbours",
        says: &["rotated pairs (2i, 2i+1)"],
        spoil: |want| rotate(want, |i| (2 * i, 2 * i + 1)),
    },
    Mistake {
        name: "rotated-halves",
        says: &["rotated pairs (i, i + half)"],
        spoil: |want| rotate(want, |i| (i, i + DIM / 2)),
    },
    Mistake {
        name: "rows-in-another-order",
        says: &["rows in another order: 0 holds 1's"],
        spoil: |want| (0..want.len()).map(|at| want[(at + DIM) % want.len()]).collect(),
    },
    Mistake {
        name: "off-by-one",
        says: &["off by one", "next"],
        spoil: |want| reorder(want, DIM, |i| (i + 1).min(DIM - 1)),
    },
    Mistake {
        name: "constant-ratio",
        says: &["constant ratio 1.702", "everywhere"],
        spoil: |want| each(want, |_, w| w * 1.702),
    },
    Mistake {
        name: "constant-offset",
        says: &["constant offset -2.5", "everywhere"],
        spoil: |want| each(want, |_, w| w - 2.5),
    },
    Mistake {
        name: "sign-flipped",
        says: &["sign flipped", "everywhere"],
        spoil: |want| each(want, |_, w| -w),
    },
    Mistake {
        name: "all-zeros",
        says: &["all zeros", "everywhere"],
        spoil: |want| each(want, |_, _| 0.0),
    },
    Mistake {
        name: "never-written",
        says: &["still what the buffer held before"],
        spoil: |want| each(want, |at, w| if at % 5 == 0 { BEFORE } else { w }),
    },
    Mistake {
        name: "not-a-number",
        says: &["12 NaN"],
        spoil: |want| each(want, |at, w| if at % DIM == 9 { f64::NAN } else { w }),
    },
    Mistake {
        name: "rounded-to-bf16",
        says: &["rounded to bf16"],
        spoil: |want| each(want, |_, w| half::bf16::from_f64(w).to_f64()),
    },
    Mistake {
        name: "rounded-to-f16",
        says: &["rounded to f16"],
        spoil: |want| each(want, |_, w| half::f16::from_f64(w).to_f64()),
    },
    Mistake {
        name: "every-second",
        says: &["only where dim % 2 = 1"],
        spoil: |want| each(want, |at, w| if at % 2 == 1 { (w * 9.1).cos() } else { w }),
    },
    Mistake {
        name: "noise",
        says: &["everywhere"],
        spoil: |want| each(want, |at, w| w + (at as f64 * 1.7).sin() * 4.0 + 5.0),
    },
];

/// What a buffer holds that nobody wrote.
const BEFORE: f64 = -12345.0;

pub(super) fn cases() -> Vec<Case> {
    let mistakes = MISTAKES.iter().map(|mistake| {
        Case::new(format!("selftest::signature::{}", mistake.name), |_| recognised(mistake))
    });
    let values = [
        Case::new("selftest::signature::sign-of-zero", |_| {
            says(&looks_like(&damage(vec![0.0; 4], vec![-0.0; 4])), "sign of zero")
        }),
        Case::new("selftest::signature::subnormals-flushed", |_| {
            let want = vec![1e-40, -3e-39, 1.0, 2.0];
            let got = vec![0.0, 0.0, 1.0, 2.0];
            says(&looks_like(&damage(got, want)), "subnormals flushed to zero")
        }),
    ];
    mistakes.chain(values).collect()
}

fn recognised(mistake: &Mistake) -> Result<(), Failure> {
    // No two values, differences or ratios are alike, so no mistake is another one by chance.
    let want: Vec<f64> = (0..TOKENS * HEADS * DIM)
        .map(|at| (at as f64 * 0.731 + 0.5).sin() * 3.0 + 0.001 * at as f64)
        .collect();
    let got = (mistake.spoil)(&want);
    let mut damage = damage(got, want);
    damage.before = Some(vec![BEFORE; damage.want.len()]);
    damage.axes = [("token", TOKENS), ("head", HEADS), ("dim", DIM)]
        .map(|(name, extent)| (name.to_owned(), extent))
        .to_vec();
    let line = looks_like(&damage);
    mistake.says.iter().try_for_each(|part| says(&line, part))
}

fn damage(got: Vec<f64>, want: Vec<f64>) -> Damage {
    let bad = got.iter().zip(&want).map(|(g, w)| g.to_bits() != w.to_bits()).collect();
    let axes = vec![("element".to_owned(), want.len())];
    Damage { got, want, before: None, bad, axes }
}

fn says(line: &str, part: &str) -> Result<(), Failure> {
    match line.contains(part) {
        true => Ok(()),
        false => Err(format!("the line does not say {part:?}: {line}").into()),
    }
}

fn token(at: usize) -> usize {
    at / (HEADS * DIM)
}

fn head(at: usize) -> usize {
    at / DIM % HEADS
}

fn each(want: &[f64], spoil: impl Fn(usize, f64) -> f64) -> Vec<f64> {
    want.iter().enumerate().map(|(at, w)| spoil(at, *w)).collect()
}

fn reorder(want: &[f64], run: usize, from: impl Fn(usize) -> usize) -> Vec<f64> {
    (0..want.len()).map(|at| want[at / run * run + from(at % run)]).collect()
}

fn rotate(want: &[f64], pair: impl Fn(usize) -> (usize, usize)) -> Vec<f64> {
    let mut got = want.to_vec();
    for row in (0..want.len()).step_by(DIM) {
        for i in 0..DIM / 2 {
            let (a, b) = (row + pair(i).0, row + pair(i).1);
            let (sin, cos) = (0.3 + i as f64).sin_cos();
            got[a] = want[a] * cos - want[b] * sin;
            got[b] = want[a] * sin + want[b] * cos;
        }
    }
    got
}
