//! How far products are from f64.

use super::material::{Material, activations, product};
use super::name;
use engine::backend::cpu::matmul::Precision;
use engine::backend::cpu::pool::Pool;
use engine::quant::{self, Format};
use half::f16;
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
    let fast = Case::new(name(format, Precision::Fast, "not-further-than-llama-cpp"), move |run| {
        not_further_than_llama_cpp(format, run)
    });
    let mut cases = vec![exact("accuracy", near_f64), fast];
    if format.block_len == 1 {
        cases.push(exact("twin", equals_twin));
    }
    cases
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

/// Activations as ggml rounds them before it multiplies with a matrix of this format: nearest
/// eighths of a byte under a 16-bit scale for 32 of them, or under a 32-bit scale for 256; plain
/// numbers meet activations of their own kind.
fn as_ggml_rounds(format: &Format, x: &[f32]) -> Vec<f64> {
    let q8_0 = |x: &[f32]| -> Vec<f64> {
        let largest = x.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        let (d, inverse) = (f16::from_f32(largest / 127.0), 127.0 / largest);
        x.iter().map(|x| f64::from((x * inverse).round()) * f64::from(d.to_f32())).collect()
    };
    let q8_k = |x: &[f32]| -> Vec<f64> {
        let largest = x.iter().fold(0.0f32, |m, x| if x.abs() > m.abs() { *x } else { m });
        let inverse = -127.0 / largest;
        let code = |x: &f32| (x * inverse).round_ties_even().min(127.0);
        x.iter().map(|x| f64::from(code(x)) * f64::from(1.0 / inverse)).collect()
    };
    match format.block_len {
        256 => x.chunks(256).flat_map(q8_k).collect(),
        32 | 64 => x.chunks(32).flat_map(q8_0).collect(),
        _ => x.iter().map(|x| f64::from(*x)).collect(),
    }
}

/// Over a matrix large enough for chance not to matter, `fast` is nearer to the true product than
/// exact arithmetic on activations as ggml rounds them.
fn not_further_than_llama_cpp(format: &'static Format, run: &mut Run) -> Result<(), Failure> {
    let pool = Pool::new(2);
    let w = Material::new(format, 96, 1024 / format.block_len, 30);
    let x = activations(40, w.cols, 31);
    let exact_x: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
    let want = product(&w.values()?, &exact_x, w.cols);
    let theirs = product(&w.values()?, &as_ggml_rounds(format, &x), w.cols);
    let got = w.times(&pool, Precision::Fast, &x)?;
    let nmse = |got: &mut dyn Iterator<Item = f64>| {
        let error: f64 = got.zip(&want).map(|(got, want)| (got - want) * (got - want)).sum();
        error / want.iter().map(|want| want * want).sum::<f64>()
    };
    let ours = nmse(&mut got.iter().map(|v| f64::from(*v)));
    let theirs = nmse(&mut theirs.iter().copied());
    run.figure("nmse", ours, "");
    run.figure("llama.cpp nmse", theirs, "");
    // Plain numbers are multiplied as they are; 1e-12 is what rounding sums may cost.
    match ours <= theirs.max(1e-12) {
        true => Ok(()),
        false => Err(format!("{}: nmse {ours:e}, llama.cpp {theirs:e}", format.name).into()),
    }
}

/// Plain numbers of any width are multiplied like those of full width.
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
