//! Tells in one text what a prompt's frame wrote from what strangers wrote within it, so that a
//! control token counts only where the frame wrote it. Knows no template.
//!
//! Strangers' text is marked before it goes into the frame: characters with which a control token
//! begins or ends become stand-ins, characters that stand nowhere in the prompt. Then a control
//! token is found only where both its ends are the frame's, whatever happened to the text on its
//! way: cut, trimmed, quoted, put together from halves. Behind that the stand-ins become what they
//! stand for. A stand-in is one character, as what it stands for, so lengths stay.
//!
//! A frame that puts both ends around what strangers say, `<|` said `|>`, lets them name a token.
//! No template that we know does: Phi's does so with a role, and roles are ours.

use super::pieces::{Pieces, TokenType};
use super::special::{Part, Specials};
use super::{EncodeOptions, Tokenizer};
use crate::error::{Error, Result};
use std::collections::HashSet;

/// Characters that no text should hold (Unicode calls them noncharacters), and for texts that hold
/// them nevertheless, private ones.
const STAND_INS: [std::ops::RangeInclusive<char>; 2] =
    ['\u{fdd0}'..='\u{fdef}', '\u{100000}'..='\u{10fffd}'];

/// Marks strangers' text on its way into one prompt.
#[derive(Debug)]
pub struct Guard<'t> {
    specials: &'t Specials,
    /// (character, what stands for it).
    swaps: Vec<(char, char)>,
}

impl Guard<'_> {
    /// Strangers' text, marked. Tokens that any text may contain stay as they are: they are read
    /// wherever they stand, and templates look for them.
    pub fn mark(&self, text: &str) -> String {
        let mut marked = String::with_capacity(text.len());
        let swap = |char| self.swaps.iter().find(|swap| swap.0 == char).map_or(char, |swap| swap.1);
        let mut kept = 0;
        for (start, end) in self.specials.for_anyone(text.as_bytes()) {
            // A token of whole characters begins and ends at one.
            if let (Some(before), Some(token)) = (text.get(kept..start), text.get(start..end)) {
                marked.extend(before.chars().map(swap));
                marked.push_str(token);
                kept = end;
            }
        }
        marked.extend(text[kept..].chars().map(swap));
        marked
    }

    /// What the stand-ins stand for, in their place.
    pub fn restore(&self, marked: &str) -> String {
        let swap = |char| self.swaps.iter().find(|swap| swap.1 == char).map_or(char, |swap| swap.0);
        marked.chars().map(swap).collect()
    }
}

/// Texts of tokens that only a frame may write.
fn controls(pieces: &Pieces) -> impl Iterator<Item = (u32, &[u8])> {
    let control =
        |id: &u32| matches!(pieces.kind(*id), Some(TokenType::Control | TokenType::Unknown));
    let ids = (0..pieces.len() as u32).filter(control);
    ids.map(|id| (id, pieces.get(id).unwrap_or_default()))
}

impl Tokenizer {
    /// A guard for strangers' text in a frame that, unmarked, makes `prompt` of it.
    pub fn guard(&self, prompt: &str) -> Result<Guard<'_>> {
        let mut ends = Vec::new();
        // What is no UTF-8 stands in no template's text.
        for text in controls(&self.pieces).filter_map(|(_, text)| std::str::from_utf8(text).ok()) {
            ends.extend(text.chars().next());
            ends.extend(text.chars().next_back());
        }
        ends.sort_unstable();
        ends.dedup();
        let least = *STAND_INS[0].start();
        let used: HashSet<char> = prompt.chars().filter(|char| *char >= least).collect();
        let free = STAND_INS.into_iter().flatten().filter(|char| !used.contains(char));
        let swaps: Vec<_> = ends.iter().copied().zip(free).collect();
        match swaps.len() < ends.len() {
            true => Err(Error::Usage(format!(
                "the prompt holds so many private characters that none is left to stand in for the \
                 {} with which control tokens begin or end",
                ends.len()
            ))),
            false => Ok(Guard { specials: &self.specials, swaps }),
        }
    }

    /// The ids of a prompt in which strangers' text is marked: control tokens are the frame's.
    pub fn encode_guarded(&self, marked: &str, guard: &Guard) -> Result<Vec<u32>> {
        if self.info.backend.cuts_specials() {
            return self.encode_unmixed(marked, guard);
        }
        self.framed(marked.len(), EncodeOptions::PROMPT.add_special, |session, ids| {
            let mut first = true;
            self.specials.cut(marked.as_bytes(), true, |part| match part {
                Part::Token(id) => {
                    ids.push(id);
                    first = true;
                    Ok(())
                }
                Part::Text(text) => {
                    let text = guard.restore(&String::from_utf8_lossy(text));
                    self.put(text.as_bytes(), false, &mut first, session, ids)
                }
            })
        })
    }

    /// Where the encoder itself cuts out control tokens it trusts all of a text or nothing. So all
    /// of it is trusted, if no control token is there but the frame's.
    fn encode_unmixed(&self, marked: &str, guard: &Guard) -> Result<Vec<u32>> {
        let text = guard.restore(marked);
        // First, because it refuses a long text.
        let ids = self.encode(&text, EncodeOptions::PROMPT)?;
        for (id, control) in controls(&self.pieces) {
            let Ok(control) = std::str::from_utf8(control) else { continue };
            let count = |text: &str| text.matches(control).count();
            if count(&text) != count(marked) {
                return Err(Error::Usage(format!(
                    "a message holds the control token {control:?} ({id}), and with this \
                     tokenizer.json, which the tokenizers crate reads, it cannot stay text"
                )));
            }
        }
        Ok(ids)
    }
}
