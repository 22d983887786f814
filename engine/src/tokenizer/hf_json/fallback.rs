//! BPE over characters with bytes for what is no token: what Llama's and Phi-3's tokenizer.json
//! describe. Differs from SentencePiece's own loop in what it merges by: a list of pairs, not
//! scores. Knows no special tokens.

use super::bad_vocab;
use crate::error::Result;
use crate::tokenizer::cache::{Session, Speller};
use crate::tokenizer::hash::{Merge, Pairs};
use crate::tokenizer::merge::NO_TOKEN;
use crate::tokenizer::unicode::decode;

/// The space that is written out.
const ESCAPED: char = '▁';

/// The encoder.
#[derive(Debug)]
pub(crate) struct Fallback {
    /// (code point, 0) → token.
    characters: Pairs,
    pairs: Pairs,
    bytes: Vec<u32>,
    /// No merge crosses from a character to a following space, so words can be merged one by one.
    by_word: bool,
}

impl Fallback {
    /// `merges` in order; `bytes` are the tokens of all bytes.
    pub(super) fn new<'t>(
        tokens: impl Iterator<Item = (&'t str, u32)>,
        merges: &[(u32, u32, Merge)],
        bytes: Vec<u32>,
        text_of: impl Fn(u32) -> &'t str,
    ) -> Result<Self> {
        let mut characters = Vec::new();
        for (token, id) in tokens {
            let mut chars = token.chars();
            if let (Some(only), None) = (chars.next(), chars.next()) {
                characters.push((only as u32, 0, Merge { rank: 0, id }));
            }
        }
        Ok(Fallback {
            characters: Pairs::new(&characters).map_err(|bad| bad_vocab("model.vocab", bad))?,
            pairs: Pairs::new(merges).map_err(|bad| bad_vocab("model.merges", bad))?,
            by_word: merges.iter().all(|(left, right, _)| {
                text_of(*left).ends_with(ESCAPED) || !text_of(*right).starts_with(ESCAPED)
            }),
            bytes,
        })
    }

    /// Appends the ids of a text without special tokens. A part that stands alone gets its `▁`,
    /// wherever it stands.
    pub(crate) fn encode(&self, text: &[u8], session: &mut Session, out: &mut Vec<u32>) {
        let mut escaped = Vec::with_capacity(text.len() + text.len() / 4 + 3);
        let mut space = [0; 3];
        let space = ESCAPED.encode_utf8(&mut space).as_bytes();
        escaped.extend_from_slice(space);
        for byte in text {
            match byte {
                b' ' => escaped.extend_from_slice(space),
                byte => escaped.push(*byte),
            }
        }
        let mut at = 0;
        while at < escaped.len() {
            let end = if self.by_word { word_end(&escaped, at, space) } else { escaped.len() };
            session.word(&escaped, at, end, self, out);
            at = end;
        }
        session.finish(&escaped, self, out);
    }
}

impl Speller for Fallback {
    fn symbols(&self, word: &[u8], out: &mut Vec<u32>) {
        let mut at = 0;
        while at < word.len() {
            let (code, length) = decode(word, at).unwrap_or((NO_TOKEN, 1));
            match self.characters.get(code, 0) {
                Some(token) => out.push(token.id),
                None => {
                    let bytes = word[at..at + length].iter();
                    out.extend(bytes.map(|byte| self.bytes[usize::from(*byte)]));
                }
            }
            at += length;
        }
    }

    fn pairs(&self) -> &Pairs {
        &self.pairs
    }
}

/// The end of the spaces at `at` and of what follows them up to the next space.
fn word_end(text: &[u8], at: usize, space: &[u8]) -> usize {
    let mut from = at;
    while text[from..].starts_with(space) {
        from += space.len();
    }
    memchr::memmem::find(&text[from..], space).map_or(text.len(), |next| from + next)
}
