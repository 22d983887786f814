//! `cuda::op::packed::`: matrices in the order in which the decode kernels read them give what they
//! give as their file has them: bit for bit where one row meets one number, and as products.

use super::data::{File, Random, values};
use super::{Cases, ROLES, Roles, f32s, f64s, products, step_of};
use crate::reference::ops;
use crate::subject::Machine;
use engine::adapters::Role;
use engine::backend::cuda::{Cuda, Layout, Tensor};
use engine::backend::{Backend, Source};
use engine::quant::{self, Format};
use harness::{Failure, compare};

/// How a matrix is packed, and a shape that it fits: outputs (of an expert) and width.
#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    format: &'static str,
    layout: Layout,
    outputs: usize,
    width: usize,
}

const fn items(rows: usize, steps: usize, turned: bool) -> Layout {
    Layout::Items { rows, steps, turned }
}

/// Toys, shapes that no tile divides, and gpt-oss's: what K is shared out to differs between them.
const DENSE: &[Shape] = &[
    Shape {
        name: "eights::toy",
        format: "Q8_0",
        layout: items(8, 1, false),
        outputs: 8,
        width: 64,
    },
    Shape {
        name: "eights::ragged",
        format: "Q8_0",
        layout: items(8, 5, false),
        outputs: 72,
        width: 960,
    },
    Shape {
        name: "eights::real",
        format: "Q8_0",
        layout: items(8, 3, false),
        outputs: 520,
        width: 2880,
    },
    Shape {
        name: "turned::toy",
        format: "Q8_0",
        layout: items(8, 2, true),
        outputs: 64,
        width: 128,
    },
    Shape {
        name: "turned::real",
        format: "Q8_0",
        layout: items(8, 3, true),
        outputs: 512,
        width: 2880,
    },
    Shape {
        name: "fours::toy",
        format: "Q8_0",
        layout: items(4, 1, false),
        outputs: 4,
        width: 128,
    },
    Shape {
        name: "fours::ragged",
        format: "Q8_0",
        layout: items(4, 3, false),
        outputs: 148,
        width: 768,
    },
    Shape {
        name: "fours::real",
        format: "Q8_0",
        layout: items(4, 2, false),
        outputs: 520,
        width: 4096,
    },
];

/// Formats that are woven, with shapes of which not every row has seven others beside it, nor every
/// unit all of its blocks.
const WOVEN: &[(&str, usize, usize)] = &[
    ("Q4_0", 13, 96),
    ("Q4_1", 24, 160),
    ("Q5_0", 150, 896),
    ("Q5_1", 9, 32),
    ("Q8_0", 77, 1120),
    ("F16", 21, 416),
    ("MXFP4", 131, 2912),
    ("Q4_K", 300, 3072),
    ("Q5_K", 20, 768),
    ("Q6_K", 43, 8192),
];

const fn units(steps: usize, outputs: usize) -> Layout {
    Layout::Units { steps, outputs }
}

const EXPERTS: &[Shape] = &[
    Shape {
        name: "gate::toy",
        format: "MXFP4",
        layout: Layout::Pairs { up: false },
        outputs: 8,
        width: 64,
    },
    Shape {
        name: "up::toy",
        format: "MXFP4",
        layout: Layout::Pairs { up: true },
        outputs: 8,
        width: 64,
    },
    Shape {
        name: "gate::ragged",
        format: "MXFP4",
        layout: Layout::Pairs { up: false },
        outputs: 88,
        width: 448,
    },
    Shape {
        name: "up::real",
        format: "MXFP4",
        layout: Layout::Pairs { up: true },
        outputs: 96,
        width: 2880,
    },
    Shape { name: "down::toy", format: "MXFP4", layout: units(1, 4), outputs: 4, width: 64 },
    Shape { name: "down::ragged", format: "MXFP4", layout: units(2, 68), outputs: 68, width: 384 },
    Shape { name: "down::real", format: "MXFP4", layout: units(3, 96), outputs: 96, width: 2880 },
];

const COUNT: usize = 5;
const USED: usize = 3;

pub(super) fn add<M: Machine<Backend = Cuda>>(cases: &mut Cases<M>) {
    for shape in DENSE {
        for (role, roles) in ROLES {
            let name = format!("packed::{}::{role}", shape.name);
            cases.add(name, Box::new(move |b, random| dense::<M>(b, random, shape, roles)));
        }
    }
    for (format, outputs, width) in WOVEN {
        for (role, roles) in ROLES {
            let layout = Layout::Woven { rows: *outputs };
            let shape = Shape { name: "woven", format, layout, outputs: *outputs, width: *width };
            let name = format!("packed::woven::{format}::{role}");
            cases.add(name, Box::new(move |b, random| dense::<M>(b, random, &shape, roles)));
        }
    }
    for shape in EXPERTS {
        for (role, roles) in ROLES {
            let name = format!("packed::{}::{role}", shape.name);
            cases.add(name, Box::new(move |b, random| experts::<M>(b, random, shape, roles)));
        }
    }
    for (name, layout) in [
        ("gate", Layout::Pairs { up: false }),
        ("up", Layout::Pairs { up: true }),
        ("down", units(1, 128)),
    ] {
        let name = format!("packed::{name}::every-scale-and-code");
        cases.add(name, Box::new(move |b, _| every_pair(b, layout)));
    }
    cases.add("packed::items::every-value".into(), Box::new(every_value));
    cases.add("packed::items::in-place".into(), Box::new(in_place));
}

fn format(name: &str) -> Result<&'static Format, Failure> {
    quant::by_name(name).ok_or_else(|| format!("no {name}").into())
}

/// A matrix from its file, packed.
fn pack(
    backend: &mut Cuda,
    format: &'static Format,
    shape: &[usize],
    bytes: &[u8],
    layout: Layout,
) -> Result<Tensor, Failure> {
    let dims: Vec<u64> = shape.iter().map(|dim| *dim as u64).collect();
    let file = File::of(&[(format, dims, bytes)])?;
    let role = if shape.len() == 3 { Role::ExpertMatrix } else { Role::Matrix };
    let matrix = file.weight(backend, 0, role)?;
    Ok(match layout {
        Layout::File => matrix,
        Layout::Items { .. } => backend.in_items(&matrix, layout)?,
        Layout::Woven { .. } => backend.woven(&matrix)?,
        Layout::Units { .. } => backend.in_units(&matrix, layout)?,
        Layout::Pairs { up } => {
            // The other half is another matrix, so that taking it for ours shows.
            let mut other = bytes.to_vec();
            other.rotate_left(format.block_bytes);
            let dims = shape.iter().map(|dim| *dim as u64).collect();
            let file = File::of(&[(format, dims, &other)])?;
            let other = file.weight(backend, 0, role)?;
            let [gate, up_half] = match up {
                false => backend.in_pairs(&matrix, &other)?,
                true => backend.in_pairs(&other, &matrix)?,
            };
            if up { up_half } else { gate }
        }
    })
}

fn dense<M: Machine<Backend = Cuda>>(
    backend: &mut Cuda,
    random: &mut Random,
    shape: &Shape,
    roles: Roles,
) -> Result<(), Failure> {
    let (rows, Shape { outputs, width, layout, .. }) = (9, *shape);
    let format = format(shape.format)?;
    let bytes = random.blocks(format, width * outputs);
    let weight = pack(backend, format, &[width, outputs], &bytes, layout)?;
    let (x, bias) = (random.numbers(rows * width, 1.0), random.numbers(outputs, 1.0));
    let bias_weight = super::data::vector(backend, &bias)?;
    let step = step_of(backend, rows, roles)?;
    let input = backend.write(width, &x)?;
    let out = backend.matmul(&weight, Some(&bias_weight), &input, &step)?;
    let got = backend.read(&out)?;
    let want = ops::matmul(&f64s(&x), &values(format, &bytes)?, Some(&f64s(&bias)), width);
    compare::arrays("product", &got, &f32s(&want))
        .shape(&[("row", rows), ("output", outputs)])
        .within(&products::<M>(outputs))?;
    Ok(())
}

fn experts<M: Machine<Backend = Cuda>>(
    backend: &mut Cuda,
    random: &mut Random,
    shape: &Shape,
    roles: Roles,
) -> Result<(), Failure> {
    let (rows, Shape { outputs, width, layout, .. }) = (70, *shape);
    let format = format(shape.format)?;
    let bytes = random.blocks(format, width * outputs * COUNT);
    let weight = pack(backend, format, &[width, outputs, COUNT], &bytes, layout)?;
    let scores = backend.write(COUNT, &random.numbers(rows * COUNT, 3.0))?;
    let routing = backend.route(&scores, USED)?;
    let (ids, _) = backend.read_routing(&routing)?;
    let x = random.numbers(rows * width, 1.0);
    let step = step_of(backend, rows, roles)?;
    let input = backend.write(width, &x)?;
    let out = backend.expert_matmul(&weight, None, &input, Source::Row, &routing, &step)?;
    let got = backend.read(&out)?;
    let (all, x) = (values(format, &bytes)?, f64s(&x));
    let mut want = Vec::new();
    for (slot, expert) in ids.iter().enumerate() {
        let row = &x[slot / USED * width..(slot / USED + 1) * width];
        let matrix = &all[*expert as usize * outputs * width..][..outputs * width];
        want.extend(ops::matmul(row, matrix, None, width));
    }
    compare::arrays("product", &got, &f32s(&want))
        .shape(&[("row", rows), ("expert", USED), ("output", outputs)])
        .within(&products::<M>(outputs))?;
    Ok(())
}

/// Rows that hold a one each meet every number of a matrix alone: what comes out is the matrix.
fn ones(width: usize) -> Vec<f32> {
    let mut x = vec![0.0; width * width];
    (0..width).for_each(|at| x[at * width + at] = 1.0);
    x
}

/// Every scale under which all codes are finite, with every code.
fn every_pair(backend: &mut Cuda, layout: Layout) -> Result<(), Failure> {
    let (width, outputs, format) = (64, 128, format("MXFP4")?);
    let mut bytes = Vec::new();
    for block in 0..width / 32 * outputs {
        bytes.push((block % 251) as u8);
        // Low codes count upwards, high ones elsewhere, so that no two neighbours agree.
        bytes.extend((0..16).map(|i| ((i + block) as u8 % 16) | (((i * 7 + 3) as u8 % 16) << 4)));
    }
    let weight = pack(backend, format, &[width, outputs, 1], &bytes, layout)?;
    let scores = backend.write(1, &vec![0.0; width])?;
    let routing = backend.route(&scores, 1)?;
    let step = step_of(backend, width, Roles::Generated)?;
    let input = backend.write(width, &ones(width))?;
    let out = backend.expert_matmul(&weight, None, &input, Source::Row, &routing, &step)?;
    let want = turned(&values(format, &bytes)?, width);
    compare::arrays("values", &backend.read(&out)?, &want)
        .shape(&[("element", width), ("row", outputs)])
        .exactly()
}

/// Every code of Q8_0 in each layout.
fn every_value(backend: &mut Cuda, random: &mut Random) -> Result<(), Failure> {
    let (width, outputs, format) = (256, 64, format("Q8_0")?);
    let mut bytes = random.blocks(format, width * outputs);
    for (block, data) in bytes.chunks_exact_mut(format.block_bytes).enumerate() {
        data[2..].iter_mut().enumerate().for_each(|(i, code)| *code = (block * 32 + i) as u8);
    }
    let step = step_of(backend, width, Roles::Generated)?;
    let input = backend.write(width, &ones(width))?;
    let want = turned(&values(format, &bytes)?, width);
    for layout in [items(8, 2, false), items(8, 4, true), items(4, 2, false), Layout::File] {
        let weight = pack(backend, format, &[width, outputs], &bytes, layout)?;
        let out = backend.matmul(&weight, None, &input, &step)?;
        compare::arrays(&format!("{layout:?}"), &backend.read(&out)?, &want)
            .shape(&[("element", width), ("row", outputs)])
            .exactly()?;
    }
    Ok(())
}

/// A matrix that is packed where it is, in two parts and a bit, gives what it gives elsewhere.
fn in_place(backend: &mut Cuda, random: &mut Random) -> Result<(), Failure> {
    let (width, outputs, format) = (2880, 23_000, format("Q8_0")?);
    let bytes = random.blocks(format, width * outputs);
    let file = File::of(&[(format, vec![width as u64, outputs as u64], &bytes)])?;
    let matrix = file.weight(backend, 0, Role::Matrix)?;
    let step = step_of(backend, 1, Roles::Generated)?;
    let input = backend.write(width, &random.numbers(width, 1.0))?;
    let layout = items(8, 3, false);
    let elsewhere = backend.in_items(&matrix, layout)?;
    let want = backend.matmul(&elsewhere, None, &input, &step)?;
    let here = backend.in_items_in_place(&matrix, layout)?;
    let got = backend.matmul(&here, None, &input, &step)?;
    compare::arrays("product", &backend.read(&got)?, &backend.read(&want)?)
        .shape(&[("row", 1), ("output", outputs)])
        .exactly()
}

/// Column by column, as rows of ones give them.
fn turned(values: &[f64], width: usize) -> Vec<f32> {
    let columns = (0..width).flat_map(|at| values.iter().skip(at).step_by(width));
    columns.map(|value| *value as f32 + 0.0).collect()
}
