//! `bench-smoke::` — every benchmark's body once, in the ordinary run.

use harness::Case;

pub(super) fn cases() -> Vec<Case> {
    crate::bench::smoke_cases()
}
