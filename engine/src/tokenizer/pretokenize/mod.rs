//! Pre-tokenisers: where a text is cut before any merge, by the name in `tokenizer.ggml.pre`. The
//! table holds the makers' definitions and, where llama.cpp approximates one, its version too.
//! Knows no vocabulary and no ids.

mod scan;
mod stage;
mod table;

pub(crate) use scan::Shape;
pub(crate) use stage::Stage;
pub use table::{DEVIATIONS, Deviation, names};
pub(crate) use table::{Pre, by_name};

use super::unicode::{KINDS, Kinds};
use crate::profile::Profile;

/// Cuts `text` and gives the start and end of each piece to `piece`, in order; together they are
/// the text.
#[inline]
pub(crate) fn split(stages: &[Stage], text: &[u8], mut piece: impl FnMut(usize, usize)) {
    match stages {
        [Stage::Shape(shape)] => split_shape(shape, text, piece),
        _ => split_stages(stages, text, 0, &mut piece),
    }
}

/// The shapes of most models are compiled each on its own: what a shape does not do costs nothing.
#[inline]
fn split_shape(shape: &Shape, text: &[u8], piece: impl FnMut(usize, usize)) {
    match *shape {
        scan::O200K => split_by(|kinds, at| scan::O200K.next_of(kinds, text, at), text, piece),
        scan::LLAMA3 => split_by(|kinds, at| scan::LLAMA3.next_of(kinds, text, at), text, piece),
        scan::QWEN2 => split_by(|kinds, at| scan::QWEN2.next_of(kinds, text, at), text, piece),
        _ => split_by(|kinds, at| shape.next_of(kinds, text, at), text, piece),
    }
}

#[inline(always)]
fn split_by(
    next: impl Fn(&Kinds, usize) -> usize,
    text: &[u8],
    mut piece: impl FnMut(usize, usize),
) {
    let kinds = &*KINDS;
    let mut at = 0;
    while at < text.len() {
        let end = next(kinds, at);
        piece(at, end);
        at = end;
    }
}

/// Each stage cuts what the one before left; the depth is the number of stages, not of pieces.
/// `base` is where `text` stands in the whole.
fn split_stages(stages: &[Stage], text: &[u8], base: usize, piece: &mut dyn FnMut(usize, usize)) {
    let Some((stage, rest)) = stages.split_first() else {
        return piece(base, base + text.len());
    };
    let mut at = 0;
    while let Some((start, end)) = stage.find(text, at) {
        if start > at {
            split_stages(rest, &text[at..start], base + at, piece);
        }
        split_stages(rest, &text[start..end], base + start, piece);
        at = end;
    }
    if at < text.len() {
        split_stages(rest, &text[at..], base + at, piece);
    }
}

/// The pieces of `text` under the pre-tokeniser `name`, for those who want to see the cuts.
pub fn pieces<'t>(name: &str, profile: Profile, text: &'t [u8]) -> Option<Vec<&'t [u8]>> {
    let pre = by_name(name)?;
    let mut pieces = Vec::new();
    split(pre.stages(profile), text, |start, end| pieces.push(&text[start..end]));
    Some(pieces)
}
