//! Tokens by the text that a file writes them with. Most are short, and most questions are asked
//! many at a time: then a question costs a few moves and waits for nothing. Knows no merges.

use super::hash::Index;
use super::memory::{prefetch, roomy};
use super::short::{NOT_SHORT, short};
use super::vocab::bad_tokens;
use crate::error::{Result, shown};
use crate::loader::gguf::Strings;

/// So many texts are on their way at once: what they ask for fits in the level-1 cache.
pub(crate) const TOGETHER: usize = 64;

/// Text → id.
#[derive(Debug)]
pub(crate) struct ByText<'t> {
    tokens: &'t Strings,
    /// Of each token.
    shorts: Vec<u128>,
    index: Index,
}

impl<'t> ByText<'t> {
    /// Of all tokens. Two ids with one text are refused: no text could tell them apart.
    pub(crate) fn new(tokens: &'t Strings) -> Result<Self> {
        let short_of = |id| tokens.window(id).map_or(NOT_SHORT, |(text, n)| short(text, 0, n));
        let mut shorts = roomy(tokens.len());
        shorts.extend((0..tokens.len()).map(short_of));
        let index = Index::with_capacity(tokens.len());
        let mut all = ByText { tokens, shorts, index };
        let mut hashes = [0; TOGETHER];
        for first in (0..tokens.len()).step_by(TOGETHER) {
            let ids = first..tokens.len().min(first + TOGETHER);
            for (hash, id) in hashes.iter_mut().zip(ids.clone()) {
                *hash = all.call(all.shorts[id], tokens.get(id).unwrap_or_default());
            }
            for (hash, id) in hashes.iter().zip(ids) {
                let token = tokens.get(id).unwrap_or_default();
                let is_same = |other: u32| tokens.get(other as usize) == Some(token);
                if let Some(first) = all.index.insert(*hash, id as u32, is_same) {
                    let detail = format!("tokens {first} and {id} are both {}", shown(token));
                    return Err(bad_tokens(detail));
                }
            }
        }
        Ok(all)
    }

    /// The id of a text.
    pub(crate) fn get(&self, text: &[u8]) -> Option<u32> {
        self.find(self.index.hash(text), text)
    }

    /// The ids of many texts, each with what it is as a short one. While one of them waits for
    /// memory, so do the others.
    pub(crate) fn get_all(&self, texts: &[(u128, &[u8])], ids: &mut [Option<u32>; TOGETHER]) {
        let mut hashes = [0; TOGETHER];
        for (hash, (key, text)) in hashes.iter_mut().zip(texts) {
            *hash = self.call(*key, text);
        }
        for (hash, (key, _)) in hashes.iter().zip(texts) {
            let likely = self.index.find(*hash, |_| true).unwrap_or_default();
            match *key {
                NOT_SHORT => prefetch(self.tokens.get(likely as usize).unwrap_or_default(), 0),
                _ => prefetch(&self.shorts, likely as usize),
            }
        }
        for ((id, hash), (key, text)) in ids.iter_mut().zip(hashes).zip(texts) {
            *id = match *key {
                NOT_SHORT => self.find(hash, text),
                key => self.index.find(hash, |id| self.shorts[id as usize] == key),
            };
        }
    }

    /// The hash of a text, which is looked for or added soon.
    #[inline(always)]
    fn call(&self, key: u128, text: &[u8]) -> u64 {
        let hash = match key {
            NOT_SHORT => self.index.hash(text),
            key => self.index.hash_short(key),
        };
        self.index.call(hash);
        hash
    }

    fn find(&self, hash: u64, text: &[u8]) -> Option<u32> {
        self.index.find(hash, |id| self.tokens.get(id as usize) == Some(text))
    }

    /// Whether a token is `left` and `right`, which are `key` if that is short.
    #[inline(always)]
    pub(crate) fn is(&self, id: u32, key: u128, left: &[u8], right: &[u8]) -> bool {
        if key != NOT_SHORT {
            return self.shorts.get(id as usize) == Some(&key);
        }
        let token = self.tokens.get(id as usize).unwrap_or_default();
        token.strip_prefix(left) == Some(right)
    }
}
