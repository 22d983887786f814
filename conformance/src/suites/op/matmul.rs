//! Products of rows with matrices of every block format; a row's bits in any company, and whether
//! all outputs are asked for together or as several rows.

use super::data::{File, Random, formats, values, vector};
use super::{Cases, ROLES, Roles, f32s, f64s, products, step_of};
use crate::reference::ops;
use crate::subject::Machine;
use engine::adapters::Role;
use engine::backend::Backend;
use engine::quant::Format;
use harness::{Failure, compare};

/// Rows, outputs, and the width in blocks of 256 elements or less.
struct Shape {
    name: &'static str,
    rows: usize,
    outputs: usize,
    width: fn(&Format) -> usize,
}

const SHAPES: &[Shape] = &[
    Shape { name: "toy", rows: 1, outputs: 3, width: |f| f.block_len.max(5) },
    Shape {
        name: "ragged",
        rows: 11,
        outputs: 37,
        width: |f| if f.block_len == 1 { 301 } else { 5 * f.block_len },
    },
    // gpt-oss's width where the blocks divide it, else the next that they do.
    Shape {
        name: "real",
        rows: 9,
        outputs: 517,
        width: |f| if f.block_len == 256 { 2816 } else { 2880 },
    },
];

pub(super) fn add<M: Machine>(cases: &mut Cases<M>) {
    for format in formats() {
        for shape in SHAPES {
            for (role, roles) in ROLES {
                let name = format!("matmul::{}::{}::{role}", format.name, shape.name);
                let body = move |b: &mut M::Backend, random: &mut Random| {
                    product::<M>(b, random, format, shape, roles)
                };
                cases.add(name, Box::new(body));
            }
        }
        for (role, roles) in ROLES {
            let name = format!("matmul::{}::in-any-company::{role}", format.name);
            cases.add(name, Box::new(move |b, random| company(b, random, format, roles)));
            let name = format!("matmul::{}::split::{role}", format.name);
            cases.add(name, Box::new(move |b, random| split(b, random, format, roles)));
        }
    }
}

fn product<M: Machine>(
    backend: &mut M::Backend,
    random: &mut Random,
    format: &'static Format,
    shape: &Shape,
    roles: Roles,
) -> Result<(), Failure> {
    let (rows, outputs, width) = (shape.rows, shape.outputs, (shape.width)(format));
    let bytes = random.blocks(format, width * outputs);
    let file = File::of(&[(format, vec![width as u64, outputs as u64], &bytes)])?;
    let weight = file.weight(backend, 0, Role::Matrix)?;
    let (x, bias) = (random.numbers(rows * width, 1.0), random.numbers(outputs, 1.0));
    let bias_weight = vector(backend, &bias)?;
    let step = step_of(backend, rows, roles)?;
    let input = backend.write(width, &x)?;
    let out = backend.matmul(&weight, Some(&bias_weight), &input, &step)?;
    let got = backend.read(&out)?;
    let want = ops::matmul(&f64s(&x), &values(format, &bytes)?, Some(&f64s(&bias)), width);
    let budget = products::<M>(outputs);
    compare::arrays("product", &got, &f32s(&want))
        .shape(&[("row", rows), ("output", outputs)])
        .input("x", &x)
        .within(&budget)?;
    Ok(())
}

/// The first row alone, and as one of up to 130: the same bits.
fn company<B: Backend>(
    backend: &mut B,
    random: &mut Random,
    format: &'static Format,
    roles: Roles,
) -> Result<(), Failure> {
    let (outputs, width) = (13, if format.block_len == 1 { 301 } else { 3 * format.block_len });
    let bytes = random.blocks(format, width * outputs);
    let file = File::of(&[(format, vec![width as u64, outputs as u64], &bytes)])?;
    let weight = file.weight(backend, 0, Role::Matrix)?;
    let x = random.numbers(130 * width, 1.0);
    let mut ask = |rows: usize| -> Result<Vec<f32>, Failure> {
        let step = step_of(backend, rows, roles)?;
        let input = backend.write(width, &x[..rows * width])?;
        let out = backend.matmul(&weight, None, &input, &step)?;
        Ok(backend.read(&out)?)
    };
    let alone = ask(1)?;
    for rows in [2, 3, 7, 8, 9, 16, 31, 32, 33, 63, 64, 65, 130] {
        let got = ask(rows)?;
        compare::arrays(&format!("the first of {rows} rows"), &got[..outputs], &alone).exactly()?;
    }
    Ok(())
}

/// One matrix whose outputs are three rows, whatever lies together in eights: what all outputs at
/// once have there.
fn split<B: Backend>(
    backend: &mut B,
    random: &mut Random,
    format: &'static Format,
    roles: Roles,
) -> Result<(), Failure> {
    let (rows, outputs, width) =
        (9, 45, if format.block_len == 1 { 301 } else { format.block_len });
    let bytes = random.blocks(format, width * outputs);
    let file = File::of(&[(format, vec![width as u64, outputs as u64], &bytes)])?;
    let weight = file.weight(backend, 0, Role::Matrix)?;
    let bias = vector(backend, &random.numbers(outputs, 1.0))?;
    let step = step_of(backend, rows, roles)?;
    let input = backend.write(width, &random.numbers(rows * width, 1.0))?;
    let all = backend.matmul(&weight, Some(&bias), &input, &step)?;
    let all = backend.read(&all)?;
    for widths in [[24, 8, 13], [11, 21, 13]] {
        let parts = backend.matmul_split((&weight, Some(&bias)), widths, &input, &step)?;
        let mut start = 0;
        for (part, width) in parts.iter().zip(widths) {
            let cut = all.chunks_exact(outputs).flat_map(|row| &row[start..start + width]);
            let want: Vec<f32> = cut.copied().collect();
            compare::arrays(&format!("outputs from {start}"), &backend.read(part)?, &want)
                .shape(&[("row", rows), ("output", width)])
                .exactly()?;
            start += width;
        }
    }
    Ok(())
}
