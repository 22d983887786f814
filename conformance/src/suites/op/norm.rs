//! Norms, on rows that are ordinary and on rows that overflow or vanish when squared.

use super::data::{Random, vector};
use super::{Cases, f32s, f64s, feeds_products, within};
use crate::reference::ops;
use crate::subject::Machine;
use engine::adapters::weights::NormWeights;
use engine::adapters::{Norm, NormKind};
use engine::backend::Backend;
use harness::{Failure, compare};

pub(super) fn add<M: Machine>(cases: &mut Cases<M>) {
    let kinds = [(NormKind::Rms, "rms"), (NormKind::Layer, "layer")];
    let shapes = [("toy", 1, 4, 1.0), ("ragged", 5, 301, 1.0), ("real", 3, 2880, 20.0)];
    let odd = [("huge", 2, 64, 1e20), ("tiny", 2, 64, 1e-30), ("one-element", 2, 1, 1.0)];
    for (kind, kind_name) in kinds {
        for (name, rows, width, size) in shapes.into_iter().chain(odd) {
            let name = format!("norm::{kind_name}::{name}");
            let body = move |b: &mut M::Backend, random: &mut Random| {
                let x = random.numbers(rows * width, size);
                judge(b, random, kind, &x, width)
            };
            cases.add(name, Box::new(body));
        }
        for (shape, rows, width) in [("toy", 1, 4), ("ragged", 5, 301), ("real", 3, 2880)] {
            let name = format!("norm::{kind_name}::{shape}::behind-an-addition");
            let body =
                move |b: &mut M::Backend, random: &mut Random| sum(b, random, kind, (rows, width));
            cases.add(name, Box::new(body));
        }
        let name = format!("norm::{kind_name}::feeds-products");
        cases.add(name, Box::new(move |b, random| feeds(b, random, kind)));
        let name = format!("norm::{kind_name}::zeros");
        cases.add(name, Box::new(move |b, random| judge(b, random, kind, &[0.0; 96], 48)));
    }
}

const EPSILON: f32 = 1e-5;

fn weights<B: Backend>(
    backend: &mut B,
    kind: NormKind,
    (weight, bias): (&[f32], &[f32]),
) -> Result<NormWeights<B::Weight>, Failure> {
    let bias = match kind {
        NormKind::Rms => None,
        NormKind::Layer => Some(vector(backend, bias)?),
    };
    Ok(NormWeights { weight: vector(backend, weight)?, bias })
}

/// Fused or not: the same sums, and the same norms of them, to the bit.
fn sum<B: Backend>(
    backend: &mut B,
    random: &mut Random,
    kind: NormKind,
    (rows, width): (usize, usize),
) -> Result<(), Failure> {
    let (norm, gains) = (Norm { kind, epsilon: EPSILON }, random.numbers(2 * width, 2.0));
    let weights = weights(backend, kind, gains.split_at(width))?;
    let (x, more) = (random.numbers(rows * width, 20.0), random.numbers(rows * width, 3.0));
    let sums: Vec<f32> = x.iter().zip(&more).map(|(x, more)| x + more).collect();
    let apart = backend.write(width, &sums)?;
    let want = backend.norm(norm, &weights, &apart)?;
    let (mut stream, more) = (backend.write(width, &x)?, backend.write(width, &more)?);
    let got = backend.add_norm(norm, &weights, &mut stream, &more)?;
    let shape = [("row", rows), ("element", width)];
    compare::arrays("sum", &backend.read(&stream)?, &sums).shape(&shape).exactly()?;
    let (got, want) = (backend.read(&got)?, backend.read(&want)?);
    compare::arrays("norm", &got, &want).shape(&shape).exactly()
}

/// A product takes what a norm gave, in whatever form it was handed over, as it takes the same
/// numbers from elsewhere.
fn feeds<B: Backend>(backend: &mut B, random: &mut Random, kind: NormKind) -> Result<(), Failure> {
    let (rows, width) = (5, 320);
    let (norm, gains) = (Norm { kind, epsilon: EPSILON }, random.numbers(2 * width, 2.0));
    let weights = weights(backend, kind, gains.split_at(width))?;
    let x = backend.write(width, &random.numbers(rows * width, 20.0))?;
    let out = backend.norm(norm, &weights, &x)?;
    feeds_products(backend, random, &out)
}

fn judge<B: Backend>(
    backend: &mut B,
    random: &mut Random,
    kind: NormKind,
    x: &[f32],
    width: usize,
) -> Result<(), Failure> {
    let (weight, bias) = (random.numbers(width, 2.0), random.numbers(width, 0.5));
    let weights = weights(backend, kind, (&weight, &bias))?;
    let rows = backend.write(width, x)?;
    let out = backend.norm(Norm { kind, epsilon: EPSILON }, &weights, &rows)?;
    let got = backend.read(&out)?;
    let (weight, bias, epsilon) = (f64s(&weight), f64s(&bias), f64::from(EPSILON));
    let one = |row: &[f32]| match kind {
        NormKind::Rms => ops::norm_rms(&f64s(row), &weight, epsilon),
        NormKind::Layer => ops::norm_layer(&f64s(row), &weight, &bias, epsilon),
    };
    let want: Vec<f64> = x.chunks_exact(width).flat_map(one).collect();
    let rounded = f32s(&want);
    let comparison = compare::arrays("norm", &got, &rounded);
    let shape = [("row", x.len() / width), ("element", width)];
    match want.iter().all(|x| *x == 0.0) {
        true => comparison.shape(&shape).exactly(),
        false => {
            let why = "an f64 sum, then two or three roundings to f32 an element";
            comparison.shape(&shape).within(&within(2e-14, why))?;
            Ok(())
        }
    }
}
