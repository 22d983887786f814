//! What must not show in a single bit: company, threads, instructions, the order of pairs.

use super::material::{Material, Random, activations};
use super::name;
use engine::backend::cpu::level::{Level, levels};
use engine::backend::cpu::matmul::{Arranged, Matrices, Pair, Precision, matmul, matmul_pairs};
use engine::backend::cpu::pages::Pages;
use engine::backend::cpu::pool::Pool;
use engine::quant::Format;
use harness::compare::arrays;
use harness::{Case, Failure, Run};

type Check = fn(&'static Format, Precision, &mut Run) -> Result<(), Failure>;

pub(super) fn cases(format: &'static Format, precision: Precision) -> Vec<Case> {
    let checks: [(&str, Check); 6] = [
        ("rows-alone", rows_alone),
        ("threads", threads),
        ("levels", same_on_every_level),
        ("pairs", pairs),
        ("guards", guards),
        ("arranged", arranged),
    ];
    let case = |(what, check): (&str, Check)| {
        Case::new(name(format, precision, what), move |run| check(format, precision, run))
            .requirements(["DT07", "DT08"])
    };
    let mut cases: Vec<Case> = checks.into_iter().map(case).collect();
    if format.name == "F32" && precision == Precision::Exact {
        cases.push(Case::new("cpu::matmul::control::order-dependent-sums-are-red", |_| control()));
    }
    cases
}

/// A matrix with a ragged number of rows and some columns more than a stretch has.
fn material(format: &'static Format) -> Material {
    Material::new(format, 37, 300usize.div_ceil(format.block_len).max(2), 5)
}

/// DT07: a row computed in any company has the bits that it has alone.
fn rows_alone(format: &'static Format, precision: Precision, _: &mut Run) -> Result<(), Failure> {
    let pool = Pool::new(2);
    let w = material(format);
    alone_or_not(&w, |x| Ok(w.times(&pool, precision, x)?))
}

fn alone_or_not(
    w: &Material,
    times: impl Fn(&[f32]) -> Result<Vec<f32>, Failure>,
) -> Result<(), Failure> {
    let x = activations(33, w.cols, 6);
    let alone: Result<Vec<Vec<f32>>, Failure> = x.chunks(w.cols).map(&times).collect();
    let alone = alone?.concat();
    for n in 1..=33 {
        // From both ends, so that a row also changes its place.
        for rows in [0..n, 33 - n..33] {
            let got = times(&x[rows.start * w.cols..rows.end * w.cols])?;
            arrays(&format!("rows {rows:?}"), &got, &alone[rows.start * w.rows..rows.end * w.rows])
                .shape(&[("row", n), ("output", w.rows)])
                .exactly()?;
        }
    }
    Ok(())
}

/// DT06: sums cut by how many rows there are. If this passed, `rows-alone` would see nothing.
fn control() -> Result<(), Failure> {
    let w = material(engine::quant::by_name("F32").ok_or("no F32")?);
    let values: Vec<f32> = w.values()?.iter().map(|value| *value as f32).collect();
    let split = |x: &[f32]| {
        let parts = (x.len() / w.cols).min(4);
        let dot = |w: &[f32], x: &[f32]| {
            let part = |part: usize| {
                let own = w.iter().zip(x).skip(part).step_by(parts);
                own.fold(0.0f32, |sum, (w, x)| w.mul_add(*x, sum))
            };
            (0..parts).map(part).sum::<f32>()
        };
        Ok(x.chunks(w.cols).flat_map(|x| values.chunks(w.cols).map(move |w| dot(w, x))).collect())
    };
    match alone_or_not(&w, split) {
        Err(_) => Ok(()),
        Ok(()) => Err("sums whose order depends on the number of rows went unnoticed".into()),
    }
}

fn threads(format: &'static Format, precision: Precision, _: &mut Run) -> Result<(), Failure> {
    let w = Material::new(format, 150, 300usize.div_ceil(format.block_len).max(2), 7);
    for n in [1, 4, 19] {
        let x = activations(n, w.cols, 8);
        let want = w.times(&Pool::new(1), precision, &x)?;
        for n_threads in [2, 3, 8] {
            let got = w.times(&Pool::new(n_threads), precision, &x)?;
            arrays(&format!("{n_threads} threads"), &got, &want)
                .shape(&[("row", n), ("output", w.rows)])
                .exactly()?;
        }
    }
    Ok(())
}

/// DT08, for as many instruction sets as this machine has.
fn same_on_every_level(
    format: &'static Format,
    precision: Precision,
    run: &mut Run,
) -> Result<(), Failure> {
    let scalar = Pool::with_level(1, Level::Scalar);
    let mut compared = 0;
    for level in levels().filter(|level| *level != Level::Scalar) {
        let pool = Pool::with_level(1, level);
        for seed in 0..4 {
            let w = Material::new(format, 37, 600usize.div_ceil(format.block_len), seed);
            for n in [1, 2, 3, 4, 9] {
                let x = activations(n, w.cols, 100 + seed);
                let got = w.times(&pool, precision, &x)?;
                let want = w.times(&scalar, precision, &x)?;
                arrays(&format!("{level:?} and Scalar"), &got, &want)
                    .shape(&[("row", n), ("output", w.rows)])
                    .exactly()?;
                compared += got.len();
            }
        }
    }
    run.figure("outputs compared", compared as f64, "");
    Ok(())
}

/// Several matrices, rows wanted in random order, some twice, some never.
fn pairs(format: &'static Format, precision: Precision, _: &mut Run) -> Result<(), Failure> {
    let pool = Pool::new(2);
    let (n_matrices, n_rows) = (5, 11);
    let ws: Vec<Material> =
        (0..n_matrices).map(|seed| Material::new(format, 21, 2, seed)).collect();
    let (rows, cols) = (ws[0].rows, ws[0].cols);
    let bytes: Vec<u8> = ws.iter().flat_map(|w| w.bytes.iter().copied()).collect();
    let stacked = Matrices::new(format, ws.len(), rows, cols, &bytes)?;
    let arranged = Arranged::new(&pool, &mut Pages::default(), &stacked);
    let stacked = arranged.as_ref().map_or(stacked, Arranged::matrices);
    let x = activations(n_rows, cols, 9);
    let mut random = Random(10);
    let mut pair = || Pair { row: random.next() as u32 % 11, matrix: random.next() as u32 % 4 };
    for n_pairs in [0, 1, 3, 40] {
        let pairs: Vec<Pair> = (0..n_pairs).map(|_| pair()).collect();
        let mut got = vec![f32::NAN; n_pairs * rows];
        matmul_pairs(&pool, precision, &stacked, &x, &pairs, &mut got)?;
        for (pair, got) in pairs.iter().zip(got.chunks(rows)) {
            let x = &x[pair.row as usize * cols..][..cols];
            let want = ws[pair.matrix as usize].times(&pool, precision, x)?;
            arrays(&format!("{pair:?}"), got, &want).exactly()?;
        }
    }
    Ok(())
}

/// The order in which a matrix lies shows nowhere, also where it was not arranged for.
fn arranged(format: &'static Format, precision: Precision, run: &mut Run) -> Result<(), Failure> {
    let best = Pool::new(2);
    let mut compared = 0;
    for rows in [1, 8, 37] {
        let w = Material::new(format, rows, 600usize.div_ceil(format.block_len), 13);
        let Some(arranged) = Arranged::new(&best, &mut Pages::default(), &w.matrices()?) else {
            continue;
        };
        for level in levels() {
            let pool = Pool::with_level(2, level);
            for n in [1, 3, 4, 9] {
                let x = activations(n, w.cols, 14);
                let times = |w: &Matrices| {
                    let mut out = vec![f32::NAN; n * rows];
                    matmul(&pool, precision, w, &x, &mut out).map(|()| out)
                };
                arrays(
                    &format!("{level:?}"),
                    &times(&arranged.matrices())?,
                    &times(&w.matrices()?)?,
                )
                .shape(&[("row", n), ("output", rows)])
                .exactly()?;
                compared += n * rows;
            }
        }
    }
    run.figure("outputs compared", compared as f64, "");
    Ok(())
}

/// Nothing is written beside the output, and everything in it is.
fn guards(format: &'static Format, precision: Precision, _: &mut Run) -> Result<(), Failure> {
    const UNTOUCHED: u32 = 0x5555_5555;
    let pool = Pool::new(2);
    for (rows, n) in [(1, 1), (15, 2), (17, 3), (37, 7)] {
        let w = Material::new(format, rows, 2, 11);
        let x = activations(n, w.cols, 12);
        let mut buffer = vec![f32::from_bits(UNTOUCHED); n * rows + 64];
        let w = w.matrices()?;
        let arranged = Arranged::new(&pool, &mut Pages::default(), &w);
        let w = arranged.as_ref().map_or(w, Arranged::matrices);
        matmul(&pool, precision, &w, &x, &mut buffer[32..][..n * rows])?;
        let touched = |at: usize| buffer[at].to_bits() != UNTOUCHED;
        let inside = |at: usize| (32..32 + n * rows).contains(&at);
        if let Some(at) = (0..buffer.len()).find(|at| touched(*at) != inside(*at)) {
            let place = if inside(at) { "left out" } else { "written beside the output" };
            return Err(format!("{rows} rows times {n}: place {at} − 32 was {place}").into());
        }
    }
    Ok(())
}
