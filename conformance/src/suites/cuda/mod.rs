//! `cuda::memory::`, `cuda::upload::`, `cuda::graph::`, `cuda::fault::` — what only a device can
//! show: who holds its memory, what it refuses, and that losing it ends the process and no other.

mod fault;
mod graph;
mod loads;
mod memory;
mod places;
mod upload;

pub use fault::lose_the_device;

use harness::{Case, Failure};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = memory::cases();
    cases.extend(loads::cases());
    cases.extend(upload::cases());
    cases.extend(graph::cases());
    cases.extend(fault::cases());
    cases.extend(places::cases());
    cases
}

fn case(name: &str, body: fn() -> Result<(), Failure>) -> Case {
    Case::new(format!("cuda::{name}"), move |_| body()).needs("cuda")
}
