//! How far products are from f64.

use super::material::{Material, activations, product};
use super::name;
use engine::backend::cpu::matmul::Precision;
use engine::backend::cpu::pool::Pool;
use engine::quant::{self, Format};
use harness::compare::arrays;
use harness::vector::Budget;
use harness::{Case, Failure, Run};

/// Rows, blocks a row (columns, for plain numbers), activation rows: ragged on purpose, then one
/// that is longer than any stretch that a kernel may cut a row into.
fn shapes(format: &Format) -> [(usize, usize, usize); 5] {
    let long = 2880usize.div_ceil(format.block_len).max(3);
    [(1, 1, 1), (5, 3, 2), (16, 7, 3), (33, 9, 5), (67, long, 4)]
}

pub(super) fn cases(format: &'static Format) -> Vec<Case> {
    let exact = |what, check: fn(&'static Format, &mut Run) -> Result<(), Failure>| {
        Case::new(name(format, Precision::Exact, what), move |run| check(format, run))
    };
    vec![exact("accuracy", near_f64), exact("twin", equals_twin)]
}

fn near_f64(format: &'static Format, run: &mut Run) -> Result<(), Failure> {
    let pool = Pool::new(2);
    for (rows, blocks, n) in shapes(format) {
        let w = Material::new(format, rows, blocks, 1);
        let x = activations(n, w.cols, 2);
        let exact_x: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
        let want = product(&w.values()?, &exact_x, w.cols);
        let got: Vec<f64> =
            w.times(&pool, Precision::Exact, &x)?.iter().map(|v| f64::from(*v)).collect();
        let budget = Budget {
            nmse: Some(1e-12),
            worst_row_nmse: Some(1e-11),
            rel: None,
            abs: None,
            why: "sums of up to 2880 rounded products, and their cancellation in a single row"
                .into(),
        };
        let what = format!("{rows}×{} of {} times {n}", w.cols, format.name);
        arrays(&what, &got, &want)
            .shape(&[("row", n), ("output", rows)])
            .input("x", &x)
            .within(&budget)?
            .record(run, &format!("{rows}x{}", w.cols));
    }
    Ok(())
}

/// `exact` promises the bits of the decoded matrix.
fn equals_twin(format: &'static Format, _: &mut Run) -> Result<(), Failure> {
    let f32 = quant::by_name("F32").ok_or("no F32")?;
    let pool = Pool::new(1);
    for (rows, blocks, n) in shapes(format) {
        let w = Material::new(format, rows, blocks, 3);
        let x = activations(n, w.cols, 4);
        let got = w.times(&pool, Precision::Exact, &x)?;
        let want = w.twin(f32)?.times(&pool, Precision::Exact, &x)?;
        arrays(&format!("{} and its twin", format.name), &got, &want)
            .shape(&[("row", n), ("output", rows)])
            .exactly()?;
    }
    Ok(())
}
