//! The registry of suites. A new suite is one file here and one line in `all`.

mod bench_smoke;
mod golden;
pub mod vectors;

use harness::Case;

/// Every case there is on this machine.
pub fn all() -> Vec<Case> {
    let suites = [bench_smoke::cases(), golden::cases(), vectors::cases()];
    suites.into_iter().flatten().collect()
}
