//! `selftest::` — the suite can go red. Each way in which a check could fail to check is made on
//! purpose, with synthetic inputs, and must be refused.

pub(crate) mod child;
mod compare;
mod files;
mod results;
mod runs;
mod signatures;

use harness::Case;

/// The cases of this suite.
pub(super) fn cases() -> Vec<Case> {
    let parts =
        [compare::cases(), files::cases(), results::cases(), runs::cases(), signatures::cases()];
    parts.into_iter().flatten().collect()
}
