//! Rotations at positions from 0 to the last of a long context, both styles, whole and part heads.

use super::data::Random;
use super::{Cases, batch, f32s, within};
use crate::reference::ops::turned;
use crate::subject::Machine;
use engine::adapters::Rope;
use engine::adapters::rope::{Arithmetic, Factors, Scaling, Style};
use engine::backend::Backend;
use harness::{Failure, compare};

/// Positions around which others went wrong, and the last of 128k (N30).
const POSITIONS: [u32; 11] =
    [0, 1, 40, 2_000, 4_095, 4_096, 16_000, 32_768, 48_039, 65_536, 131_071];

pub(super) fn add<M: Machine>(cases: &mut Cases<M>) {
    let styles = [(Style::Neox, "neox"), (Style::Normal, "normal")];
    for (style, style_name) in styles {
        for (heads, head_dim, dims) in [(1, 2, 2), (3, 48, 32), (5, 80, 80), (64, 64, 64)] {
            let name = format!("rope::{style_name}::{heads}x{head_dim}::{dims}-turn");
            let rope = rope(style, dims, Scaling::None, 150_000.0);
            cases.add(name, Box::new(move |b, random| judge(b, random, &rope, heads, head_dim)));
        }
        let name = format!("rope::{style_name}::linear");
        let rope = rope(style, 64, Scaling::Linear { factor: 4.0 }, 10_000.0);
        cases.add(name, Box::new(move |b, random| judge(b, random, &rope, 2, 64)));
    }
}

fn rope(style: Style, dims: usize, scaling: Scaling, base: f32) -> Rope {
    let (factors, arithmetic) = (Factors::None, Arithmetic::Exact);
    Rope { style, dims, base, scaling, factors, magnitude: 1.0, arithmetic }
}

fn judge<B: Backend>(
    backend: &mut B,
    random: &mut Random,
    rope: &Rope,
    heads: usize,
    head_dim: usize,
) -> Result<(), Failure> {
    let width = heads * head_dim;
    let x = random.numbers(POSITIONS.len() * width, 4.0);
    let step = backend.step(&batch(&POSITIONS), std::slice::from_ref(rope))?;
    let mut rows = backend.write(width, &x)?;
    backend.rope(&mut rows, rope, 0, head_dim, &step)?;
    let got = backend.read(&rows)?;
    let mut want: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
    let stretch = match rope.scaling {
        Scaling::Linear { factor } => 1.0 / f64::from(factor),
        _ => 1.0,
    };
    for (row, position) in want.chunks_exact_mut(width).zip(POSITIONS) {
        for head in row.chunks_exact_mut(head_dim) {
            for pair in 0..rope.dims / 2 {
                let exponent = -2.0 * pair as f64 / rope.dims as f64;
                let angle = f64::from(position) * stretch * f64::from(rope.base).powf(exponent);
                let (a, b) = match rope.style {
                    Style::Neox => (pair, pair + rope.dims / 2),
                    Style::Normal => (2 * pair, 2 * pair + 1),
                };
                (head[a], head[b]) = turned((head[a], head[b]), angle);
            }
        }
    }
    let why = "a cosine, a sine, two products and a sum, each rounded to f32";
    compare::arrays("turned", &got, &f32s(&want))
        .shape(&[("position", POSITIONS.len()), ("head", heads), ("dim", head_dim)])
        .within(&within(1e-14, why))?;
    Ok(())
}
