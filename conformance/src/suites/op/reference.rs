//! `op::reference::` — the suite's formulas against numbers that others computed, before they judge
//! anything.

use crate::reference::ops;
use harness::{Case, Failure};

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, body: fn() -> Result<(), Failure>| {
        Case::new(format!("op::reference::{name}"), move |_| body())
    };
    vec![
        case("activations", activations),
        case("norms", norms),
        case("softmax", softmax),
        case("rotation", rotation),
    ]
}

fn near(what: &str, got: f64, want: f64) -> Result<(), Failure> {
    match (got - want).abs() <= 1e-12 * want.abs().max(1e-3) {
        true => Ok(()),
        false => Err(format!("{what}: {got:e}, wanted {want:e}").into()),
    }
}

/// From CPython 3.11's `math` (erf, erfc, tanh, exp of the C library), 17 digits.
fn activations() -> Result<(), Failure> {
    GELU_ERF.iter().try_for_each(|(x, want)| near("gelu_erf", ops::gelu_erf(*x), *want))?;
    GELU_TANH.iter().try_for_each(|(x, want)| near("gelu_tanh", ops::gelu_tanh(*x), *want))?;
    OAI.iter().try_for_each(|(x, y, want)| {
        near("swiglu_oai", ops::swiglu_oai(*x, *y, 1.702, 7.0), *want)
    })?;
    near("swiglu", ops::swiglu(-3.5, 2.0), SWIGLU)
}

/// Worked out by hand: 3, 4 has mean square 12.5; 1, 2, 3 has variance 2/3.
fn norms() -> Result<(), Failure> {
    let rms = ops::norm_rms(&[3.0, 4.0], &[1.0, 2.0], 0.0);
    near("rms", rms[0], 3.0 / 12.5f64.sqrt())?;
    near("rms", rms[1], 8.0 / 12.5f64.sqrt())?;
    let layer = ops::norm_layer(&[1.0, 2.0, 3.0], &[1.0, 1.0, 2.0], &[0.0, 5.0, 0.0], 0.0);
    near("layer", layer[0], -(1.5f64.sqrt()))?;
    near("layer", layer[1], 5.0)?;
    near("layer", layer[2], 2.0 * 1.5f64.sqrt())
}

/// Two scores that differ by ln 3 share one as 1 to 3; a sink as large as the better one takes
/// three of then seven parts.
fn softmax() -> Result<(), Failure> {
    let keys: [&[f64]; 2] = [&[0.0], &[3f64.ln()]];
    let values: [&[f64]; 2] = [&[1.0, 0.0], &[0.0, 1.0]];
    let plain = ops::attend(&[2.0], &keys, &values, 0.5, None);
    near("share", plain[0], 0.25)?;
    let sink = ops::attend(&[2.0], &keys, &values, 0.5, Some(3f64.ln()));
    near("share beside a sink", sink[1], 3.0 / 7.0)?;
    let (ids, shares) = ops::route(&[0.0, 3f64.ln() as f32, -0.0, -9.0], 3);
    near("share of an expert", (shares[0] * 1e6).round(), 600_000.0)?;
    match ids[..] {
        [1, 0, 2] => Ok(()),
        _ => Err(format!("picked {ids:?}").into()),
    }
}

fn rotation() -> Result<(), Failure> {
    let (a, b) = ops::turned((3.0, 4.0), std::f64::consts::FRAC_PI_2);
    near("turned", a, -4.0)?;
    near("turned", b, 3.0)
}

const GELU_ERF: &[(f64, f64)] = &[
    (-5.0, -1.4332578593959731e-06),
    (-1.0, -0.15865525393145707),
    (-0.25, -0.10032341857926907),
    (0.5, 0.34573123063700656),
    (1.0, 0.8413447460685429),
    (3.0, 2.99595030590511),
];
const GELU_TANH: &[(f64, f64)] = &[
    (-2.0, -0.04540230591222494),
    (-0.5, -0.15428599017485606),
    (0.25, 0.149675350701685),
    (1.0, 0.8411919906082768),
    (3.0, 2.996362607918227),
];
const OAI: &[(f64, f64, f64)] = &[
    (0.5, 0.25, 0.43798554575797516),
    (-3.0, 2.0, -0.05421392912335791),
    (9.0, 8.0, 55.99962502642654),
    (1.0, -9.0, -5.074774595596928),
];
const SWIGLU: f64 = -0.20518561525949425;
