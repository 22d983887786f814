//! `convert::` — `worker-orcd convert` on Hugging Face folders made here: names, shapes, order of
//! elements, formats, vocabularies, refusals. Knows where each element must end up, written down
//! again and element by element; nothing of how the command moves them.

mod families;
mod folder;
mod formats;
mod refusals;
mod vocabularies;

use harness::Case;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = families::cases();
    cases.extend(formats::cases());
    cases.extend(vocabularies::cases());
    cases.extend(refusals::cases());
    cases
}
