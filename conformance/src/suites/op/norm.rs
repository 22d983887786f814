//! Norms, on rows that are ordinary and on rows that overflow or vanish when squared.

use super::data::{Random, vector};
use super::{Cases, f32s, f64s, within};
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
        let name = format!("norm::{kind_name}::zeros");
        cases.add(name, Box::new(move |b, random| judge(b, random, kind, &[0.0; 96], 48)));
    }
}

fn judge<B: Backend>(
    backend: &mut B,
    random: &mut Random,
    kind: NormKind,
    x: &[f32],
    width: usize,
) -> Result<(), Failure> {
    let epsilon = 1e-5f32;
    let (weight, bias) = (random.numbers(width, 2.0), random.numbers(width, 0.5));
    let weights = NormWeights {
        weight: vector(backend, &weight)?,
        bias: match kind {
            NormKind::Rms => None,
            NormKind::Layer => Some(vector(backend, &bias)?),
        },
    };
    let rows = backend.write(width, x)?;
    let out = backend.norm(Norm { kind, epsilon }, &weights, &rows)?;
    let got = backend.read(&out)?;
    let (weight, bias, epsilon) = (f64s(&weight), f64s(&bias), f64::from(epsilon));
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
