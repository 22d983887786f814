//! `chat::`: what no vector file can hold about conversations: templates of a megabyte, properties,
//! and the real templates of a llama.cpp checkout.

mod attack;
mod harmony;
mod real;

use harness::Case;

pub(super) fn cases() -> Vec<Case> {
    [attack::cases(), harmony::cases(), real::cases()].into_iter().flatten().collect()
}
