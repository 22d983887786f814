//! `synth::` models of random weights: blocks that are what they should be, files that are what the
//! published ones are, the same bytes on any number of threads, and a command that says what is
//! wrong.

mod blocks;
mod command;
mod files;
mod shapes;

use harness::Case;

pub(super) fn cases() -> Vec<Case> {
    let all = [blocks::cases(), command::cases(), files::cases(), shapes::cases()];
    all.into_iter().flatten().collect()
}
