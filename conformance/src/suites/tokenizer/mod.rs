//! `tokenizer::` — text becomes the ids the model was trained on, and comes back unbroken.

mod attacks;
pub(crate) mod command;
mod differential;
mod goldens;
mod layout;
mod llama_cpp;
mod malformed;
mod scanners;
pub(crate) mod shapes;
mod special;
mod streams;
pub(crate) mod tiktoken;
pub(crate) mod toys;
mod turn_ends;

use engine::tokenizer::Tokenizer;
use harness::{Case, Failure};

pub(super) fn cases() -> Vec<Case> {
    let areas = [
        attacks::cases(),
        command::cases(),
        differential::cases(),
        goldens::cases(),
        layout::cases(),
        llama_cpp::cases(),
        malformed::cases(),
        scanners::cases(),
        special::cases(),
        streams::cases(),
        turn_ends::cases(),
    ];
    areas.into_iter().flatten().collect()
}

/// Whether two lists of ids are equal; if not, where they part, in ids and in text.
fn same_ids(
    tokenizer: &Tokenizer,
    text: impl AsRef<[u8]>,
    got: &[u32],
    want: &[u32],
) -> Result<(), Failure> {
    if got == want {
        return Ok(());
    }
    let at = got.iter().zip(want).take_while(|(got, want)| got == want).count();
    let shown = |ids: &[u32]| -> String {
        let from = at.min(ids.len());
        let part = &ids[from..ids.len().min(from + 6)];
        let pieces = part.iter().map(|id| {
            let piece = tokenizer.piece(*id).unwrap_or(b"?");
            format!("{id} {:?}", String::from_utf8_lossy(piece))
        });
        pieces.collect::<Vec<_>>().join(", ")
    };
    let text = String::from_utf8_lossy(text.as_ref());
    let text: String = text.chars().take(200).collect();
    Err(format!(
        "ids differ from place {at} on (of {} and {} wanted) in {text:?}\n  got    {}\n  wanted {}",
        got.len(),
        want.len(),
        shown(got),
        shown(want)
    )
    .into())
}
