//! `cpu::matmul::FORMAT::PRECISION::*`: products of quantised matrices. Right within a budget, and
//! equal to the bit whatever the company of a row, the threads and the instructions.

mod accuracy;
mod bits;
mod material;
mod refusals;

use engine::backend::cpu::matmul::Precision;
use engine::quant::{FORMATS, Format};
use harness::Case;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = refusals::cases();
    for format in FORMATS.iter().filter(|format| format.scalar.is_some()) {
        cases.extend(accuracy::cases(format));
        for precision in [Precision::Exact, Precision::Fast] {
            cases.extend(bits::cases(format, precision));
        }
    }
    cases
}

/// The name of a case.
fn name(format: &Format, precision: Precision, what: &str) -> String {
    let precision = format!("{precision:?}").to_lowercase();
    format!("cpu::matmul::{}::{precision}::{what}", format.name)
}
