//! Words seen in this call and their ids: texts repeat their words, and a hit touches one cache
//! line. Starts empty, has a fixed size, forgets freely. Knows no vocabulary.

use super::merge::Scratch;

/// A word up to this long fits a key, with its length beside it.
const KEY_BYTES: usize = 15;
/// A word of more tokens than this is not kept.
const KEPT_IDS: usize = 3;

#[derive(Debug, Clone, Copy, Default)]
#[repr(align(32))]
struct Entry {
    /// The word and, in the last byte, its length; 0 where nothing is kept.
    key: u128,
    ids: [u32; KEPT_IDS],
    count: u32,
}

/// What one call of encode carries from word to word.
#[derive(Debug)]
pub(crate) struct Session {
    entries: Vec<Entry>,
    /// The ids of the word at hand.
    pub(crate) word: Vec<u32>,
    /// Memory of the merge loop.
    pub(crate) scratch: Scratch,
    /// Control tokens written in the text are meant: for an encoder that cuts them out itself.
    pub(crate) trusted: bool,
}

impl Session {
    /// For a text of this many bytes: a short text should not pay for a large table.
    pub(crate) fn new(text_bytes: usize) -> Self {
        // At most 512 KiB, so that it stays in the level-2 cache beside the text.
        let entries = (text_bytes / 16).next_power_of_two().clamp(16, 1 << 14);
        Session {
            entries: vec![Entry::default(); entries],
            word: Vec::new(),
            scratch: Scratch::default(),
            trusted: false,
        }
    }

    /// The key of `text[start..end]`, if it is short enough to have one.
    #[inline(always)]
    pub(crate) fn key(text: &[u8], start: usize, end: usize) -> Option<u128> {
        let length = end - start;
        if length > KEY_BYTES {
            return None;
        }
        let mut bytes = [0; 16];
        match text.get(start..start + 16) {
            Some(window) => bytes.copy_from_slice(window),
            None => bytes[..length].copy_from_slice(&text[start..end]),
        }
        let kept = (1_u128 << (length * 8)) - 1;
        Some(u128::from_le_bytes(bytes) & kept | (length as u128) << (KEY_BYTES * 8))
    }

    #[inline(always)]
    fn slot(&self, key: u128) -> usize {
        // Any odd constant spreads words well enough: a collision costs a merge, never an answer.
        let mixed =
            (key as u64 ^ ((key >> 64) as u64).rotate_left(23)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 40) as usize & (self.entries.len() - 1)
    }

    /// Appends the ids of a word that was kept; false if it was not.
    #[inline(always)]
    pub(crate) fn recall(&self, key: u128, out: &mut Vec<u32>) -> bool {
        let entry = &self.entries[self.slot(key)];
        if entry.key != key {
            return false;
        }
        if entry.count == 1 {
            out.push(entry.ids[0]);
        } else {
            out.extend_from_slice(&entry.ids[..entry.count as usize]);
        }
        true
    }

    /// Keeps the ids of the word at hand.
    #[inline]
    pub(crate) fn keep(&mut self, key: u128) {
        let count = self.word.len();
        if count <= KEPT_IDS {
            let mut ids = [0; KEPT_IDS];
            ids[..count].copy_from_slice(&self.word);
            let slot = self.slot(key);
            self.entries[slot] = Entry { key, ids, count: count as u32 };
        }
    }
}
