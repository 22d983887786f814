//! `BACKEND::golden::MODEL::PROMPT::WHAT`: a whole model against what oracles recorded of it, at
//! once and block by block; and defects injected on purpose, each of which must be seen and placed.

mod chained;
mod isolated;
mod mutants;
mod oracle;

use crate::subject::{OnCpu, OnCuda, OnCudaFast};
use harness::Case;
use harness::vector::Budget;

/// Every case on this machine's backends.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = chained::cases::<OnCpu>();
    cases.extend(isolated::cases::<OnCpu>());
    cases.extend(mutants::cases::<OnCpu>());
    cases.extend(chained::cases::<OnCuda>());
    cases.extend(isolated::cases::<OnCuda>());
    cases.extend(chained::rounded::<OnCudaFast>());
    cases
}

/// What exact arithmetic may be away from llama.cpp on the twin in its own profile.
fn budget(family: &str) -> Budget {
    match family {
        "gpt2" => bounds(
            1e-8,
            2e-7,
            "an input beside a border of ggml's f16 table of GELU moves its output by 2^-11: most \
             prompts have no row that feels it, one of 384 is 1.3e-7 away",
        ),
        _ => bounds(1e-9, 2e-8, "an f64 pass is 1e-11 to 2e-10 away; ten times that for f32 sums"),
    }
}

/// The same for the taps on the way.
fn tap_budget(family: &str) -> Budget {
    match family {
        "gpt2" => bounds(
            1e-7,
            1e-6,
            "an input beside a border of ggml's f16 table of GELU moves its output by 2^-11",
        ),
        _ => budget(family),
    }
}

fn bounds(nmse: f64, worst_row_nmse: f64, why: &str) -> Budget {
    let (nmse, worst_row_nmse) = (Some(nmse), Some(worst_row_nmse));
    Budget { nmse, worst_row_nmse, rel: None, abs: None, why: why.into() }
}
