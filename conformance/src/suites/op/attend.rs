//! Attention over a past that was stored in parts: every kind of head, windows, sinks, both
//! precisions, positions around the edges of tiles and of the ring.

use super::data::{Random, vector};
use super::{Cases, batch, f32s, f64s};
use crate::reference::ops;
use crate::subject::Machine;
use engine::adapters::Attention;
use engine::backend::Backend;
use engine::batch::Role;
use engine::error::Result as EngineResult;
use engine::kv::{CachePlan, GRAIN, LayerPlan, Precision};
use half::f16;
use harness::vector::Budget;
use harness::{Failure, compare};

/// One case: heads and their size, the past, and what is asked of it.
#[derive(Debug, Clone, Copy)]
struct Shape {
    heads: usize,
    kv_heads: usize,
    dim: usize,
    /// Positions in all.
    length: usize,
    /// Rows at the end that attend.
    asked: usize,
    /// Rows that are stored together.
    part: usize,
    window: Option<usize>,
    sinks: bool,
    precision: Precision,
    role: Role,
}

const PLAIN: Shape = Shape {
    heads: 4,
    kv_heads: 4,
    dim: 64,
    length: 70,
    asked: 70,
    part: 70,
    window: None,
    sinks: false,
    precision: Precision::F32,
    role: Role::Prompt,
};
const GROUPED: Shape = Shape { heads: 8, kv_heads: 2, ..PLAIN };

/// Around the edges of tiles of 64 and windows of 128.
const EDGES: Shape =
    Shape { length: 261, asked: 261, part: 37, window: Some(128), sinks: true, ..GROUPED };

const SHAPES: &[(&str, Shape)] = &[
    ("mha", PLAIN),
    ("gqa", GROUPED),
    ("mqa", Shape { heads: 5, kv_heads: 1, ..PLAIN }),
    ("one-position", Shape { length: 1, asked: 1, ..GROUPED }),
    ("one-row-of-a-long-past", Shape { length: 5000, asked: 1, part: 500, ..GROUPED }),
    ("head-of-2", Shape { dim: 2, ..GROUPED }),
    ("head-of-80", Shape { dim: 80, ..GROUPED }),
    ("head-of-96", Shape { dim: 96, ..GROUPED }),
    ("head-of-128", Shape { dim: 128, ..GROUPED }),
    ("head-of-256", Shape { dim: 256, ..GROUPED }),
    ("sinks", Shape { sinks: true, ..GROUPED }),
    ("window-of-1", Shape { window: Some(1), ..GROUPED }),
    ("window-of-16", Shape { window: Some(16), ..GROUPED }),
    ("window-that-is-longer-than-the-past", Shape { window: Some(500), ..GROUPED }),
    ("edges", EDGES),
    ("edges-in-parts-of-1", Shape { part: 1, length: 140, asked: 140, ..EDGES }),
    ("half-precision", Shape { precision: Precision::F16, ..EDGES }),
    ("gpt-oss", Shape { heads: 64, kv_heads: 8, length: 200, asked: 20, part: 100, ..EDGES }),
];

pub(super) fn add<M: Machine>(cases: &mut Cases<M>) {
    for (name, shape) in SHAPES {
        let body = |b: &mut M::Backend, random: &mut Random| judge::<M>(b, random, shape);
        cases.add(format!("attend::{name}"), Box::new(body));
        let body = |b: &mut M::Backend, random: &mut Random| {
            judge::<M>(b, random, &Shape { role: Role::Generated, ..*shape })
        };
        cases.add(format!("attend::generated::{name}"), Box::new(body));
    }
    let body = |b: &mut M::Backend, random: &mut Random| repeated_heads(b, random);
    cases.add("attend::gqa-equals-mha-with-repeated-heads".into(), Box::new(body));
    let body = |b: &mut M::Backend, random: &mut Random| large_scores::<M>(b, random);
    cases.add("attend::scores-far-apart".into(), Box::new(body));
}

impl Shape {
    fn attention(&self) -> Attention {
        Attention {
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.dim,
            scale: 1.0 / (self.dim as f32).sqrt(),
            fused_qkv: false,
            qkv_bias: false,
            out_bias: false,
            rope: None,
            window: self.window,
            sinks: self.sinks,
        }
    }

    fn plan(&self) -> CachePlan {
        let room = self.window.map_or(self.length, |window| self.length.min(window + self.part));
        let room = room.next_multiple_of(GRAIN);
        CachePlan {
            slots: 1,
            context: self.length,
            max_rows: self.part,
            precision: self.precision,
            layers: vec![LayerPlan { width: self.kv_heads * self.dim, capacity: room }],
            poison: true,
        }
    }
}

/// What a backend gives for the rows that are asked: stored part by part, as a prompt is.
fn answer<B: Backend>(
    backend: &mut B,
    shape: &Shape,
    (queries, keys, values): (&[f32], &[f32], &[f32]),
    sinks: Option<&B::Weight>,
) -> EngineResult<Vec<f32>> {
    let attention = shape.attention();
    let (q_width, kv_width) = (attention.q_width(), attention.kv_width());
    let mut cache = backend.cache(&shape.plan())?;
    let mut out = Vec::new();
    let first_asked = shape.length - shape.asked;
    let mut start = 0;
    while start < shape.length {
        // A part ends where the asked rows begin, so that each part is asked whole or not at all.
        let edge = if start < first_asked { first_asked } else { shape.length };
        let end = (start + shape.part).min(edge);
        let positions: Vec<u32> = (start as u32..end as u32).collect();
        let mut batch = batch(&positions);
        batch.rows.iter_mut().for_each(|row| row.role = shape.role);
        let step = backend.step(&batch, &[])?;
        let k = backend.write(kv_width, &keys[start * kv_width..end * kv_width])?;
        let v = backend.write(kv_width, &values[start * kv_width..end * kv_width])?;
        backend.store(&mut cache, 0, &k, &v, &step)?;
        if start >= first_asked {
            let (from, to) = (start - first_asked, end - first_asked);
            let q = backend.write(q_width, &queries[from * q_width..to * q_width])?;
            let seen = backend.attend(&attention, sinks, &q, &cache, 0, &step)?;
            out.extend(backend.read(&seen)?);
        }
        start = end;
    }
    Ok(out)
}

fn expected(
    shape: &Shape,
    (queries, keys, values): (&[f32], &[f32], &[f32]),
    sinks: Option<&[f32]>,
) -> Vec<f64> {
    let attention = shape.attention();
    let (dim, q_width, kv_width) = (shape.dim, attention.q_width(), attention.kv_width());
    let stored = |x: &f32| match shape.precision {
        Precision::F32 => f64::from(*x),
        Precision::F16 => f64::from(f16::from_f32(*x)),
    };
    let (keys, values): (Vec<f64>, Vec<f64>) =
        (keys.iter().map(stored).collect(), values.iter().map(stored).collect());
    let queries = f64s(queries);
    let mut want = Vec::new();
    for (row, queries) in queries.chunks_exact(q_width).enumerate() {
        let position = shape.length - shape.asked + row;
        let first = shape.window.map_or(0, |window| (position + 1).saturating_sub(window));
        for (head, query) in queries.chunks_exact(dim).enumerate() {
            let column = head / (shape.heads / shape.kv_heads) * dim;
            let of = |all: &'_ [f64], position: usize| {
                let at = position * kv_width + column;
                all[at..at + dim].to_vec()
            };
            let keys: Vec<Vec<f64>> = (first..=position).map(|p| of(&keys, p)).collect();
            let values: Vec<Vec<f64>> = (first..=position).map(|p| of(&values, p)).collect();
            let keys: Vec<&[f64]> = keys.iter().map(Vec::as_slice).collect();
            let values: Vec<&[f64]> = values.iter().map(Vec::as_slice).collect();
            let sink = sinks.map(|sinks| f64::from(sinks[head]));
            let scale = f64::from(attention.scale);
            want.extend(ops::attend(query, &keys, &values, scale, sink));
        }
    }
    want
}

fn judge<M: Machine>(
    backend: &mut M::Backend,
    random: &mut Random,
    shape: &Shape,
) -> Result<(), Failure> {
    judge_sized::<M>(backend, random, shape, 2.0)
}

fn judge_sized<M: Machine>(
    backend: &mut M::Backend,
    random: &mut Random,
    shape: &Shape,
    size: f32,
) -> Result<(), Failure> {
    let (q_width, kv_width) = (shape.heads * shape.dim, shape.kv_heads * shape.dim);
    let queries = random.numbers(shape.asked * q_width, size);
    let keys = random.numbers(shape.length * kv_width, size);
    let values = random.numbers(shape.length * kv_width, 1.0);
    let sinks = random.numbers(shape.heads, 3.0);
    let weight = match shape.sinks {
        true => Some(vector(backend, &sinks)?),
        false => None,
    };
    let input = (queries.as_slice(), keys.as_slice(), values.as_slice());
    let got = answer(backend, shape, input, weight.as_ref())?;
    let want = expected(shape, input, shape.sinks.then_some(&sinks[..]));
    // A score's f32 error grows with its size, and the softmax turns it into a relative one.
    let (nmse, why) = match M::ROUNDED {
        true => (3e-6, "queries, keys, shares and values of 11 bits"),
        false => {
            (1e-11, "f32 scores and sums; thousands of values, or two elements, nearly cancel")
        }
    };
    let budget = Budget {
        worst_row_nmse: Some(nmse * f64::from(size / 2.0).powi(4)),
        why: why.into(),
        ..Budget::default()
    };
    compare::arrays("attention", &got, &f32s(&want))
        .shape(&[("row", shape.asked), ("head", shape.heads), ("dim", shape.dim)])
        .within(&budget)?;
    Ok(())
}

/// Scores of hundreds: what is not the largest vanishes, and nothing overflows.
fn large_scores<M: Machine>(backend: &mut M::Backend, random: &mut Random) -> Result<(), Failure> {
    judge_sized::<M>(backend, random, &GROUPED, 30.0)
}

/// Each key head repeated for its group gives the same bits as sharing it.
fn repeated_heads<B: Backend>(backend: &mut B, random: &mut Random) -> Result<(), Failure> {
    let (shared, dim) = (GROUPED, GROUPED.dim);
    let whole = Shape { kv_heads: shared.heads, ..shared };
    let queries = random.numbers(shared.asked * shared.heads * dim, 2.0);
    let keys = random.numbers(shared.length * shared.kv_heads * dim, 2.0);
    let values = random.numbers(shared.length * shared.kv_heads * dim, 1.0);
    let repeat = |all: &[f32]| -> Vec<f32> {
        let heads = all.chunks_exact(dim);
        let group = shared.heads / shared.kv_heads;
        heads.flat_map(|head| std::iter::repeat_n(head, group).flatten()).copied().collect()
    };
    let want = answer(backend, &shared, (&queries, &keys, &values), None)?;
    let got = answer(backend, &whole, (&queries, &repeat(&keys), &repeat(&values)), None)?;
    compare::arrays("attention", &got, &want).exactly()
}
