//! What oracles answered, recorded under `golden/` by the `golden` tool and by nothing else.
//! Knows which recordings must exist; a missing one is red.

mod provenance;
mod quant;
pub(super) mod random;
pub(super) mod recording;
pub(super) mod trace;

use harness::{Case, roots};
use std::path::PathBuf;

/// Every case over recordings.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = quant::cases();
    cases.extend(provenance::cases());
    cases.extend(random::cases());
    cases.extend(trace::cases());
    cases
}

/// Where the recordings lie.
fn folder() -> PathBuf {
    roots::project().join("golden")
}
