//! Activations over everything that can come: ordinary numbers, both ends, zero, and NaN.

use super::data::Random;
use super::{Cases, f32s, feeds_products};
use crate::reference::ops;
use crate::subject::Machine;
use engine::adapters::{Activation, Gelu};
use engine::backend::Backend;
use harness::vector::Budget;
use harness::{Failure, compare};

const OAI: Activation = Activation::SwiGluOai { alpha: 1.702, limit: 7.0 };

pub(super) fn add<M: Machine>(cases: &mut Cases<M>) {
    let kinds = [
        ("swiglu", Activation::SwiGlu),
        ("swiglu-oai", OAI),
        ("gelu-erf", Activation::Gelu(Gelu::Erf)),
        ("gelu-tanh", Activation::Gelu(Gelu::Tanh)),
    ];
    for (kind, how) in kinds {
        for (shape, rows, width) in [("toy", 1, 3), ("ragged", 7, 301), ("real", 4, 2880)] {
            let name = format!("activate::{kind}::{shape}");
            cases.add(name, Box::new(move |b, random| judge::<M>(b, random, how, (rows, width))));
        }
        let name = format!("activate::{kind}::feeds-products");
        cases.add(name, Box::new(move |b, random| feeds(b, random, how)));
        let name = format!("activate::{kind}::nan-stays-nan");
        cases.add(name, Box::new(move |b, _| nan(b, how)));
    }
}

/// The ends of the range, and the clamp's both sides.
const ODD: [f32; 14] = [
    0.0, -0.0, 7.0, -7.0, 7.000_001, -7.000_001, 88.0, -88.0, 1e4, -1e4, 1e-30, -1e-30, 3e-39, 0.5,
];

fn judge<M: Machine>(
    backend: &mut M::Backend,
    random: &mut Random,
    how: Activation,
    (rows, width): (usize, usize),
) -> Result<(), Failure> {
    let mut numbers = || {
        let mut numbers = random.numbers(rows * width, 9.0);
        if numbers.len() > 100 {
            for odd in ODD {
                let at = random.below(rows * width);
                numbers[at] = odd;
            }
        }
        numbers
    };
    let (gate, up) = (numbers(), numbers());
    let (gate_rows, up_rows) = (backend.write(width, &gate)?, backend.write(width, &up)?);
    let gated = !matches!(how, Activation::Gelu(_));
    let out = backend.activate(how, gated.then_some(&gate_rows), up_rows)?;
    let got = backend.read(&out)?;
    let one = |(x, y): (&f32, &f32)| {
        let (x, y) = (f64::from(*x), f64::from(*y));
        match how {
            Activation::SwiGlu => ops::swiglu(x, y),
            Activation::SwiGluOai { alpha, limit } => {
                ops::swiglu_oai(x, y, f64::from(alpha), f64::from(limit))
            }
            Activation::Gelu(Gelu::Erf) => ops::gelu_erf(y),
            Activation::Gelu(_) => ops::gelu_tanh(y),
        }
    };
    let want: Vec<f64> = gate.iter().zip(&up).map(one).collect();
    let (rel, why) = match M::ROUNDED {
        true => (2e-5, "an exponent of 80 in f32 is off by 1e-5, and so is e to its power"),
        false => (3e-7, "three roundings to f32; the tails of 1 + erf and 1 + tanh cancel in f64"),
    };
    let budget = Budget { rel: Some(rel), abs: Some(1e-13), why: why.into(), ..Budget::default() };
    compare::arrays("activated", &got, &f32s(&want))
        .shape(&[("row", rows), ("element", width)])
        .within(&budget)?;
    Ok(())
}

fn feeds<B: Backend>(backend: &mut B, random: &mut Random, how: Activation) -> Result<(), Failure> {
    let (rows, width) = (5, 320);
    let gate = backend.write(width, &random.numbers(rows * width, 9.0))?;
    let up = backend.write(width, &random.numbers(rows * width, 9.0))?;
    let gated = !matches!(how, Activation::Gelu(_));
    let out = backend.activate(how, gated.then_some(&gate), up)?;
    feeds_products(backend, random, &out)
}

/// A broken row must be found where it broke: neither a clamp nor a table may hide it.
fn nan<B: Backend>(backend: &mut B, how: Activation) -> Result<(), Failure> {
    let bad = [f32::NAN, 1.0, f32::NAN, 1.0];
    let (gate, up) = (backend.write(4, &bad)?, backend.write(4, &bad)?);
    let gated = !matches!(how, Activation::Gelu(_));
    let out = backend.activate(how, gated.then_some(&gate), up)?;
    let got = backend.read(&out)?;
    let nans: Vec<bool> = got.iter().map(|x| x.is_nan()).collect();
    match nans == [true, false, true, false] {
        true => Ok(()),
        false => Err(format!("{bad:?} became {got:?}").into()),
    }
}
