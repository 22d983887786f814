//! `device::` — what can be said of CUDA devices on a machine without one: which are accepted, and
//! that a driver which is missing, old or a stub is told and ends nothing.

mod gate;
mod stub;

use harness::Case;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = gate::cases();
    cases.extend(stub::cases());
    cases
}
