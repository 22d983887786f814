//! Words seen in this call and their ids: texts repeat their words, and a hit touches one cache
//! line. Starts empty, has a fixed size, forgets freely. Knows no vocabulary.

use super::merge::Scratch;
use super::prefetch::prefetch;

/// Words of at most 15 bytes, and of at most 31: in scripts of two and three bytes a character most
/// words are long. A key is the word and, in its last byte, the length.
const SHORT_WORDS: usize = 1;
const SHORT_BYTES: usize = 15;
const LONG_WORDS: usize = 2;
const LONG_BYTES: usize = 31;
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

/// Two places for a word; what is asked for again moves to the first, and a new word replaces the
/// second. So words that a text has once do not drive out those that it repeats.
#[derive(Debug)]
struct Table<const WORDS: usize, const IDS: usize> {
    places: Vec<[Entry<WORDS, IDS>; 2]>,
}

/// A word that waits for its place in a table.
#[derive(Debug, Clone, Copy, Default)]
struct Asked {
    /// Of a word of at most 15 bytes.
    key: u128,
    slot: u32,
    start: u32,
    length: u32,
}

/// So many words are asked for before the first is answered: enough to find the next ones while
/// memory is slow, too few to fill the level-1 cache.
const TOGETHER: usize = 32;

impl<const WORDS: usize, const IDS: usize> Table<WORDS, IDS> {
    fn new(entries: usize) -> Self {
        let empty = Entry { key: [0; WORDS], ids: [0; IDS], count: 0 };
        Table { places: vec![[empty; 2]; entries / 2] }
    }

    #[inline(always)]
    fn slot(&self, key: [u128; WORDS]) -> usize {
        // Any odd constant spreads words well enough: a collision costs a merge, never an answer.
        let mixed = key.iter().fold(0, |mixed: u64, part| {
            let folded = *part as u64 ^ ((*part >> 64) as u64).rotate_left(23);
            (mixed.rotate_left(29) ^ folded).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        });
        (mixed >> 40) as usize & (self.places.len() - 1)
    }

    /// Where a word's place is; it is on its way to the caches from now on.
    #[inline(always)]
    fn call(&self, key: [u128; WORDS]) -> usize {
        let slot = self.slot(key);
        prefetch(&self.places, slot);
        slot
    }

    #[inline(always)]
    fn recall(&mut self, key: [u128; WORDS], slot: usize, out: &mut Vec<u32>) -> bool {
        let place = &mut self.places[slot];
        if place[0].key != key {
            if place[1].key != key {
                return false;
            }
            place.swap(0, 1);
        }
        // As many as fit are copied, whatever their number: a copy of known size is a few moves.
        let Entry { ids, count, .. } = place[0];
        let end = out.len() + count as usize;
        out.extend_from_slice(&ids);
        out.truncate(end);
        true
    }

    #[inline]
    fn keep(&mut self, key: [u128; WORDS], slot: usize, word: &[u32]) {
        if word.len() <= IDS {
            let mut ids = [0; IDS];
            ids[..word.len()].copy_from_slice(word);
            self.places[slot][1] = Entry { key, ids, count: word.len() as u32 };
        }
    }
}

/// What one call of encode carries from word to word.
#[derive(Debug)]
pub(crate) struct Session {
    short: Table<SHORT_WORDS, SHORT_IDS>,
    long: Table<LONG_WORDS, LONG_IDS>,
    asked: [Asked; TOGETHER],
    waiting: usize,
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
            asked: [Asked::default(); TOGETHER],
            waiting: 0,
            word: Vec::new(),
            scratch: Scratch::default(),
            trusted: false,
        }
    }

    /// The word `text[start..end]` is next; whether [`Session::answer`] is due. A text has less
    /// than 4 GiB.
    #[inline(always)]
    pub(crate) fn ask(&mut self, text: &[u8], start: usize, end: usize) -> bool {
        let length = end - start;
        let (key, slot) = match length <= SHORT_BYTES {
            true => {
                let key = bytes_at(text, start, length) | (length as u128) << 120;
                (key, self.short.call([key]))
            }
            false => (0, 0),
        };
        let (slot, start, length) = (slot as u32, start as u32, length as u32);
        self.asked[self.waiting % TOGETHER] = Asked { key, slot, start, length };
        self.waiting += 1;
        self.waiting == TOGETHER
    }

    /// Appends the ids of the words asked for. A word that is not kept is left to `encode`, which
    /// leaves its ids in the session.
    #[inline]
    pub(crate) fn answer(
        &mut self,
        text: &[u8],
        encode: impl Fn(&[u8], &mut Session),
        out: &mut Vec<u32>,
    ) {
        out.reserve(TOGETHER * LONG_IDS);
        for index in 0..std::mem::take(&mut self.waiting) {
            let Asked { key, slot, start, length } = self.asked[index % TOGETHER];
            let slot = slot as usize;
            if key != 0 && self.short.recall([key], slot, out) {
                continue;
            }
            let (start, length) = (start as usize, length as usize);
            if key != 0 {
                encode(&text[start..start + length], self);
                self.short.keep([key], slot, &self.word);
            } else if length <= LONG_BYTES {
                let head = bytes_at(text, start, 16);
                let tail = bytes_at(text, start + 16, length - 16);
                let key = [head, tail | (length as u128) << 120];
                let slot = self.long.slot(key);
                if self.long.recall(key, slot, out) {
                    continue;
                }
                encode(&text[start..start + length], self);
                self.long.keep(key, slot, &self.word);
            } else {
                encode(&text[start..start + length], self);
            }
            out.extend_from_slice(&self.word);
        }
    }
}

/// The first `length` of the sixteen bytes from `at` on.
#[inline(always)]
fn bytes_at(text: &[u8], at: usize, length: usize) -> u128 {
    let mut bytes = [0; 16];
    match text.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
        Some(window) => bytes = *window,
        None => bytes[..length].copy_from_slice(&text[at..at + length]),
    }
    u128::from_le_bytes(bytes) & FIRST[length]
}

/// All bits of the first bytes, by their number: a shift of 128 bits would be a dozen instructions.
const FIRST: [u128; 17] = {
    let mut masks = [u128::MAX; 17];
    let mut length = 0;
    while length < 16 {
        masks[length] = (1 << (8 * length)) - 1;
        length += 1;
    }
    masks
};
