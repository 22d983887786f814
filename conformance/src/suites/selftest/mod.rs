//! `selftest::` — the suite can go red. Each way in which a check could fail to check is made on
//! purpose, with synthetic inputs, and must be refused.

mod compare;
mod signatures;

use harness::Case;

/// The cases of this suite.
pub(super) fn cases() -> Vec<Case> {
    let parts = [compare::cases(), signatures::cases()];
    parts.into_iter().flatten().collect()
}
