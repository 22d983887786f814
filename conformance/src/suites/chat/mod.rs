//! `chat::`: what no vector file can hold about conversations: templates of a megabyte, properties,
//! recorded renderings, and the real templates of a llama.cpp checkout.

mod attack;
mod harmony;
mod real;
mod render;

use harness::Case;

pub(super) fn cases() -> Vec<Case> {
    let areas = [attack::cases(), harmony::cases(), real::cases(), render::cases()];
    areas.into_iter().flatten().collect()
}
