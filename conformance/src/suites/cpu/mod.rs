//! The CPU backend.

mod matmul;
mod pool;

use harness::Case;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = matmul::cases();
    cases.extend(pool::cases());
    cases
}
