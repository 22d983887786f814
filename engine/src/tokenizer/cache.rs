//! Words seen in this call and their ids: texts repeat their words, and a hit touches one cache
//! line. Starts empty, has a fixed size, forgets freely. Knows no vocabulary.

use super::merge::Scratch;

/// Words of at most 15 bytes, and of at most 31: in scripts of two and three bytes a character most
/// words are long. A key is the word and, in its last byte, the length.
const SHORT_WORDS: usize = 1;
const LONG_WORDS: usize = 2;
/// A word of more tokens than this is not kept.
const SHORT_IDS: usize = 3;
const LONG_IDS: usize = 7;

/// A word and its ids; 32 bytes if short, 64 if long.
#[derive(Debug, Clone, Copy)]
#[repr(align(32))]
struct Entry<const WORDS: usize, const IDS: usize> {
    /// Nothing is kept where the length in it is 0.
    key: [u128; WORDS],
    ids: [u32; IDS],
    count: u32,
}

#[derive(Debug)]
struct Table<const WORDS: usize, const IDS: usize> {
    entries: Vec<Entry<WORDS, IDS>>,
}

/// What a word is looked up by.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Key {
    Short([u128; SHORT_WORDS]),
    Long([u128; LONG_WORDS]),
}

impl<const WORDS: usize, const IDS: usize> Table<WORDS, IDS> {
    fn new(entries: usize) -> Self {
        Table { entries: vec![Entry { key: [0; WORDS], ids: [0; IDS], count: 0 }; entries] }
    }

    #[inline(always)]
    fn slot(&self, key: [u128; WORDS]) -> usize {
        // Any odd constant spreads words well enough: a collision costs a merge, never an answer.
        let mixed = key.iter().fold(0, |mixed: u64, part| {
            let folded = *part as u64 ^ ((*part >> 64) as u64).rotate_left(23);
            (mixed.rotate_left(29) ^ folded).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        });
        (mixed >> 40) as usize & (self.entries.len() - 1)
    }

    #[inline(always)]
    fn recall(&self, key: [u128; WORDS], out: &mut Vec<u32>) -> bool {
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

    #[inline]
    fn keep(&mut self, key: [u128; WORDS], word: &[u32]) {
        if word.len() <= IDS {
            let mut ids = [0; IDS];
            ids[..word.len()].copy_from_slice(word);
            let slot = self.slot(key);
            self.entries[slot] = Entry { key, ids, count: word.len() as u32 };
        }
    }
}

/// What one call of encode carries from word to word.
#[derive(Debug)]
pub(crate) struct Session {
    short: Table<SHORT_WORDS, SHORT_IDS>,
    long: Table<LONG_WORDS, LONG_IDS>,
    /// The ids of the word at hand.
    pub(crate) word: Vec<u32>,
    /// Memory of the merge loop.
    pub(crate) scratch: Scratch,
    /// Control tokens written in the text are meant: for an encoder that cuts them out itself.
    pub(crate) trusted: bool,
}

impl Session {
    /// For a text of this many bytes: a short text should not pay for large tables.
    pub(crate) fn new(text_bytes: usize) -> Self {
        // At most 2 MiB and 1 MiB. The words that a text repeats most stay in the level-2 cache,
        // and even a miss there costs a tenth of merging a word again.
        let short = (text_bytes / 16).next_power_of_two().clamp(16, 1 << 16);
        let long = (text_bytes / 64).next_power_of_two().clamp(16, 1 << 14);
        Session {
            short: Table::new(short),
            long: Table::new(long),
            word: Vec::new(),
            scratch: Scratch::default(),
            trusted: false,
        }
    }

    /// The key of `text[start..end]`, if it is short enough to have one.
    #[inline(always)]
    pub(crate) fn key(text: &[u8], start: usize, end: usize) -> Option<Key> {
        let length = end - start;
        if length < 16 {
            let kept = (1_u128 << (length * 8)) - 1;
            let word = bytes_at(text, start, length) & kept;
            return Some(Key::Short([word | (length as u128) << 120]));
        }
        if length < 32 {
            let kept = (1_u128 << ((length - 16) * 8)) - 1;
            let tail = bytes_at(text, start + 16, length - 16) & kept;
            let head = bytes_at(text, start, 16);
            return Some(Key::Long([head, tail | (length as u128) << 120]));
        }
        None
    }

    /// Appends the ids of a word that was kept; false if it was not.
    #[inline(always)]
    pub(crate) fn recall(&self, key: Key, out: &mut Vec<u32>) -> bool {
        match key {
            Key::Short(key) => self.short.recall(key, out),
            Key::Long(key) => self.long.recall(key, out),
        }
    }

    /// Keeps the ids of the word at hand.
    #[inline]
    pub(crate) fn keep(&mut self, key: Key) {
        match key {
            Key::Short(key) => self.short.keep(key, &self.word),
            Key::Long(key) => self.long.keep(key, &self.word),
        }
    }
}

/// Sixteen bytes from `at` on; near the end of the text only the first `length` of them are its.
#[inline(always)]
fn bytes_at(text: &[u8], at: usize, length: usize) -> u128 {
    let mut bytes = [0; 16];
    match text.get(at..at + 16) {
        Some(window) => bytes.copy_from_slice(window),
        None => bytes[..length].copy_from_slice(&text[at..at + length]),
    }
    u128::from_le_bytes(bytes)
}
