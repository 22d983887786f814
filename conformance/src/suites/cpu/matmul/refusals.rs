//! Shapes that do not fit are refused with their numbers; what is not finite stays in its row.

use super::material::{Material, activations};
use engine::backend::cpu::matmul::{Matrices, Pair, Precision, matmul, matmul_pairs};
use engine::backend::cpu::pool::Pool;
use engine::quant;
use harness::{Case, Failure};
use std::fmt::Debug;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("cpu::matmul::refusals", |_| refusals()),
        Case::new("cpu::matmul::non-finite-stays-in-its-row", |_| non_finite()),
    ]
}

fn says<T: Debug, E: ToString>(result: Result<T, E>, want: &str) -> Result<(), Failure> {
    match result {
        Err(error) if error.to_string() == want => Ok(()),
        Err(error) => Err(format!("\"{}\" instead of \"{want}\"", error.to_string()).into()),
        Ok(value) => Err(format!("{value:?} instead of \"{want}\"").into()),
    }
}

fn refusals() -> Result<(), Failure> {
    let format = |name| quant::by_name(name).ok_or(format!("no {name}"));
    let (q8_0, pool) = (format("Q8_0")?, Pool::new(1));
    says(Matrices::new(format("IQ1_S")?, 1, 1, 256, &[0; 50]), "no arithmetic for IQ1_S matrices")?;
    says(Matrices::new(q8_0, 1, 1, 33, &[0; 34]), "Q8_0 has blocks of 32, a row has 33")?;
    says(Matrices::new(q8_0, 2, 3, 32, &[0; 34]), "2 × 3 × 32 of Q8_0 are 204 bytes, not 34")?;
    says(
        Matrices::new(q8_0, usize::MAX, 3, 32, &[0; 34]).map(|_| ()),
        &format!("{} × 3 × 32 of Q8_0 are {} bytes, not 34", usize::MAX, usize::MAX),
    )?;
    let (w, mut out) = (Matrices::new(q8_0, 2, 1, 32, &[0; 68])?, [0.0; 2]);
    let exact = Precision::Exact;
    let (short, x) = (&[0.0; 33], &[0.0; 64]);
    says(matmul(&pool, exact, &w, short, &mut out), "x has 33 numbers, 32 are needed")?;
    says(matmul(&pool, exact, &w, x, &mut out[1..]), "out has 1 numbers, 2 are needed")?;
    let mut pairs = |row, matrix| {
        let pairs = [Pair { row: 0, matrix: 0 }, Pair { row, matrix }];
        matmul_pairs(&pool, exact, &w, x, &pairs, &mut out)
    };
    pairs(1, 1)?;
    says(pairs(2, 0), "activation row 2 of 2")?;
    says(pairs(0, 2), "matrix 2 of 2")
}

/// A NaN or an infinity in one row of activations must reach every output of that row, where it
/// can be seen, and no output of another row.
fn non_finite() -> Result<(), Failure> {
    let pool = Pool::new(2);
    for name in ["F32", "F16", "Q8_0", "Q4_K", "Q6_K", "MXFP4"] {
        let format = quant::by_name(name).ok_or("no such format")?;
        let w = Material::new(format, 21, 600usize.div_ceil(format.block_len), 20);
        for precision in [Precision::Exact, Precision::Fast] {
            for (n, bad, value) in [(1, 0, f32::NAN), (5, 2, f32::NAN), (7, 6, f32::INFINITY)] {
                let mut x = activations(n, w.cols, 21);
                let want = w.times(&pool, precision, &x)?;
                x[bad * w.cols + 40] = value;
                let got = w.times(&pool, precision, &x)?;
                for at in 0..got.len() {
                    let (row, place) = (at / w.rows, format!("{name} {precision:?} {value} {at}"));
                    if row == bad && got[at].is_finite() {
                        return Err(format!("{place}: lost, {} came out", got[at]).into());
                    }
                    if row != bad && got[at].to_bits() != want[at].to_bits() {
                        return Err(format!("{place}: leaked into row {row}").into());
                    }
                }
            }
        }
    }
    Ok(())
}
