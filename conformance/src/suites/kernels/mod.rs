//! `kernels::` — how kernels come about, on any machine: sources, cache, pack. Where a compiler is
//! named (`ORCD_NVRTC`), every kernel is compiled for every target too.

mod cache;
mod compile;
mod pack;
mod sources;

use harness::Case;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = cache::cases();
    cases.extend(compile::cases());
    cases.extend(pack::cases());
    cases.extend(sources::cases());
    cases
}
