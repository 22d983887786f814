//! Products with the experts that were picked, and their sum.

use super::data::{File, Random, formats, values, vector};
use super::{Cases, ROLES, Roles, f32s, f64s, products, step_of, within};
use crate::reference::ops;
use crate::subject::Machine;
use engine::adapters::Role;
use engine::backend::{Backend, Source};
use engine::quant::{self, Format};
use harness::{Failure, compare};

/// Rows, experts, experts used, outputs, width.
type Shape = (usize, usize, usize, usize, usize);

/// Token counts and expert counts that are no powers of two, outputs that no tile divides (C09).
const SHAPES: &[Shape] = &[
    (1, 5, 2, 3, 32),
    (2, 6, 3, 37, 96),
    (7, 6, 3, 64, 96),
    (33, 32, 4, 45, 64),
    (1, 7, 4, 91, 2880),
    (65, 3, 3, 16, 32),
    (150, 6, 3, 70, 96),
];

pub(super) fn add<M: Machine>(cases: &mut Cases<M>) {
    let ask = |cases: &mut Cases<M>, format: &'static Format, shape: Shape, source| {
        let (rows, experts, used, outputs, width) = shape;
        let from = if source == Source::Row { "row" } else { "slot" };
        for (role, roles) in ROLES {
            let of = format!("{rows}x{used}-of-{experts}::{width}-to-{outputs}::{from}::{role}");
            let name = format!("expert_matmul::{}::{of}", format.name);
            let how = (source, roles);
            cases.add(name, Box::new(move |b, random| product::<M>(b, random, format, shape, how)));
        }
    };
    for format in formats() {
        let width = 3 * format.block_len.max(13);
        ask(cases, format, (3, 5, 2, 19, width), Source::Row);
    }
    for format in ["MXFP4", "F16"].into_iter().filter_map(quant::by_name) {
        for shape in SHAPES {
            ask(cases, format, *shape, Source::Row);
            ask(cases, format, *shape, Source::Slot);
        }
    }
    for (rows, used, width) in [(1, 4, 2880), (9, 3, 77), (2, 1, 5)] {
        let name = format!("mix::{rows}x{used}::{width}");
        cases.add(name, Box::new(move |b, random| mix(b, random, rows, used, width)));
    }
}

fn product<M: Machine>(
    backend: &mut M::Backend,
    random: &mut Random,
    format: &'static Format,
    (rows, experts, used, outputs, width): Shape,
    (source, roles): (Source, Roles),
) -> Result<(), Failure> {
    let bytes = random.blocks(format, width * outputs * experts);
    let shape = vec![width as u64, outputs as u64, experts as u64];
    let file = File::of(&[(format, shape, &bytes)])?;
    let weight = file.weight(backend, 0, Role::ExpertMatrix)?;
    let bias = random.numbers(outputs * experts, 1.0);
    let bias_weight = vector(backend, &bias)?;
    let scores = backend.write(experts, &random.numbers(rows * experts, 3.0))?;
    let routing = backend.route(&scores, used)?;
    let (ids, _) = backend.read_routing(&routing)?;
    let inputs = if source == Source::Row { rows } else { rows * used };
    let x = random.numbers(inputs * width, 1.0);
    let step = step_of(backend, rows, roles)?;
    let input = backend.write(width, &x)?;
    let bias_weight = Some(&bias_weight);
    let out = backend.expert_matmul(&weight, bias_weight, &input, source, &routing, &step)?;
    let got = backend.read(&out)?;
    let (all, x, bias) = (values(format, &bytes)?, f64s(&x), f64s(&bias));
    let mut want = Vec::new();
    for (slot, expert) in ids.iter().enumerate() {
        let at = if source == Source::Row { slot / used } else { slot };
        let row = &x[at * width..(at + 1) * width];
        let outs = *expert as usize * outputs..(*expert as usize + 1) * outputs;
        let matrix = &all[outs.start * width..outs.end * width];
        want.extend(ops::matmul(row, matrix, Some(&bias[outs]), width));
    }
    compare::arrays("product", &got, &f32s(&want))
        .shape(&[("row", rows), ("expert", used), ("output", outputs)])
        .within(&products::<M>(outputs))?;
    Ok(())
}

fn mix<B: Backend>(
    backend: &mut B,
    random: &mut Random,
    rows: usize,
    used: usize,
    width: usize,
) -> Result<(), Failure> {
    let scores = backend.write(7, &random.numbers(rows * 7, 3.0))?;
    let routing = backend.route(&scores, used)?;
    let (_, shares) = backend.read_routing(&routing)?;
    let x = random.numbers(rows * used * width, 1.0);
    let input = backend.write(width, &x)?;
    let out = backend.mix(&input, &routing)?;
    let got = backend.read(&out)?;
    let mut want = vec![0.0; rows * width];
    for (slot, row) in x.chunks_exact(width).enumerate() {
        let to = &mut want[slot / used * width..(slot / used + 1) * width];
        let share = f64::from(shares[slot]);
        to.iter_mut().zip(row).for_each(|(to, x)| *to += share * f64::from(*x));
    }
    compare::arrays("mix", &got, &f32s(&want))
        .shape(&[("row", rows), ("element", width)])
        .within(&within(1e-13, "f32 sums of a few experts"))?;
    Ok(())
}
