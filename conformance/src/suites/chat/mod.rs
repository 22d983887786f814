//! `chat::`: what no vector file can hold about conversations: templates of a megabyte, properties,
//! recorded renderings, who wrote a control
//! token, and the real templates of a llama.cpp checkout.

mod attack;
mod harmony;
mod real;
mod render;
mod trust;

use harness::Case;

pub(super) fn cases() -> Vec<Case> {
    let areas = [attack::cases(), harmony::cases(), real::cases(), render::cases(), trust::cases()];
    areas.into_iter().flatten().collect()
}
