//! Words seen in this call and their ids: texts repeat their words, and a hit touches one cache
//! line. Starts empty, has a fixed size, forgets freely. Words that are new wait for each other,
//! because many are merged in less time than one after another. Knows no vocabulary.

use super::hash::Pairs;
use super::memory::{prefetch, table};
use super::merge::Words;
use super::short::{SHORT as SHORT_BYTES, bytes_at, short};

/// What an encoder does with a word that is new.
pub(crate) trait Speller {
    /// Appends the word's symbols before any merge.
    fn symbols(&self, word: &[u8], out: &mut Vec<u32>);

    /// By what symbols merge.
    fn pairs(&self) -> &Pairs;

    /// Appends the ids of a word that was merged into `symbols`.
    fn ids(&self, _word: &[u8], symbols: &[u32], out: &mut Vec<u32>) {
        out.extend_from_slice(symbols);
    }
}

/// Words of at most 15 bytes, and of at most 31: in scripts of two and three bytes a character most
/// words are long. A key is the word and, in its last byte, the length.
const SHORT_WORDS: usize = 1;
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

/// Instead of a count: the word is new, and its first id is its place among the new ones.
const NEW: u32 = u32::MAX;

/// What a table answers.
enum Answer {
    /// The ids were appended.
    Known,
    /// It will be, as the new word of this number.
    New(u32),
    Unknown,
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
        Table { places: table([empty; 2], entries / 2) }
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
    fn recall(&mut self, key: [u128; WORDS], slot: usize, out: &mut Vec<u32>) -> Answer {
        let place = &mut self.places[slot];
        if place[0].key != key {
            if place[1].key != key {
                return Answer::Unknown;
            }
            place.swap(0, 1);
        }
        let Entry { ids, count, .. } = place[0];
        if count == NEW {
            return Answer::New(ids[0]);
        }
        // As many as fit are copied, whatever their number: a copy of known size is a few moves.
        let end = out.len() + count as usize;
        out.extend_from_slice(&ids);
        out.truncate(end);
        Answer::Known
    }

    /// The word is known from now on, as new.
    fn announce(&mut self, key: [u128; WORDS], slot: usize, new: u32) {
        let mut ids = [0; IDS];
        ids[0] = new;
        self.places[slot][1] = Entry { key, ids, count: NEW };
    }

    /// What was announced is this; nothing happens where it was forgotten since.
    fn keep(&mut self, key: [u128; WORDS], slot: usize, word: &[u32]) {
        let Some(entry) = self.places[slot].iter_mut().find(|entry| entry.key == key) else {
            return;
        };
        match entry.ids.get_mut(..word.len()) {
            Some(ids) => {
                ids.copy_from_slice(word);
                entry.count = word.len() as u32;
            }
            None => entry.key = [0; WORDS],
        }
    }
}

/// So many new words wait for each other at most: their symbols fit in the level-1 cache.
const MOST_NEW: usize = 64;

/// A word that is in no table.
#[derive(Debug, Clone, Copy)]
struct New {
    start: u32,
    length: u32,
    slot: u32,
}

/// Where the ids of a new word belong.
#[derive(Debug, Clone, Copy)]
struct Gap {
    /// Before the id that stands there now.
    at: usize,
    new: u32,
}

/// What one call of encode carries from word to word.
#[derive(Debug)]
pub(crate) struct Session {
    short: Table<SHORT_WORDS, SHORT_IDS>,
    long: Table<LONG_WORDS, LONG_IDS>,
    asked: [Asked; TOGETHER],
    waiting: usize,
    new: Vec<New>,
    gaps: Vec<Gap>,
    words: Words,
    /// Ids of the new words, one word after another, and where each ends.
    ids: Vec<u32>,
    ends: Vec<usize>,
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
            new: Vec::new(),
            gaps: Vec::new(),
            words: Words::default(),
            ids: Vec::new(),
            ends: Vec::new(),
            trusted: false,
        }
    }

    /// The word `text[start..end]` is next. A text has less than 4 GiB.
    #[inline(always)]
    pub(crate) fn word(
        &mut self,
        text: &[u8],
        start: usize,
        end: usize,
        speller: &impl Speller,
        out: &mut Vec<u32>,
    ) {
        let length = end - start;
        let (key, slot) = match length <= SHORT_BYTES {
            true => {
                let key = short(text, start, length);
                (key, self.short.call([key]))
            }
            false => (0, 0),
        };
        let (slot, start, length) = (slot as u32, start as u32, length as u32);
        self.asked[self.waiting % TOGETHER] = Asked { key, slot, start, length };
        self.waiting += 1;
        if self.waiting == TOGETHER {
            self.answer(text, out);
            if self.new.len() >= MOST_NEW {
                self.settle(text, speller, out);
            }
        }
    }

    /// There are no more words in this text.
    pub(crate) fn finish(&mut self, text: &[u8], speller: &impl Speller, out: &mut Vec<u32>) {
        self.answer(text, out);
        self.settle(text, speller, out);
    }

    /// Appends the ids of the words asked for; those that are new leave a gap.
    #[inline]
    fn answer(&mut self, text: &[u8], out: &mut Vec<u32>) {
        out.reserve(TOGETHER * LONG_IDS);
        for index in 0..std::mem::take(&mut self.waiting) {
            let Asked { key, slot, start, length } = self.asked[index % TOGETHER];
            let answer = match key {
                0 => self.long(text, start, length, out),
                _ => match self.short.recall([key], slot as usize, out) {
                    Answer::Unknown => {
                        self.short.announce([key], slot as usize, self.new.len() as u32);
                        self.new.push(New { start, length, slot });
                        Answer::New(self.new.len() as u32 - 1)
                    }
                    answer => answer,
                },
            };
            if let Answer::New(new) = answer {
                self.gaps.push(Gap { at: out.len(), new });
            }
        }
    }

    fn long(&mut self, text: &[u8], start: u32, length: u32, out: &mut Vec<u32>) -> Answer {
        let new = self.new.len() as u32;
        let mut slot = 0;
        if length as usize <= LONG_BYTES {
            let key = long_key(text, start as usize, length as usize);
            slot = self.long.slot(key);
            match self.long.recall(key, slot, out) {
                Answer::Unknown => self.long.announce(key, slot, new),
                answer => return answer,
            }
        }
        self.new.push(New { start, length, slot: slot as u32 });
        Answer::New(new)
    }

    /// Merges the new words and fills their gaps.
    #[inline(never)]
    fn settle(&mut self, text: &[u8], speller: &impl Speller, out: &mut Vec<u32>) {
        let word = |new: &New| &text[new.start as usize..new.start as usize + new.length as usize];
        self.words.clear();
        for new in &self.new {
            speller.symbols(word(new), &mut self.words.symbols);
            self.words.close();
        }
        self.words.merge(speller.pairs());
        self.ids.clear();
        self.ends.clear();
        for (number, new) in self.new.iter().enumerate() {
            let first = self.ids.len();
            speller.ids(word(new), self.words.get(number), &mut self.ids);
            self.ends.push(self.ids.len());
            let ids = &self.ids[first..];
            let (start, length) = (new.start as usize, new.length as usize);
            let slot = new.slot as usize;
            if length <= SHORT_BYTES {
                let key = short(text, start, length);
                self.short.keep([key], slot, ids);
            } else if length <= LONG_BYTES {
                self.long.keep(long_key(text, start, length), slot, ids);
            }
        }
        self.new.clear();
        self.fill(out);
    }

    /// Moves the ids after each gap to where they belong, from the last gap on.
    fn fill(&mut self, out: &mut Vec<u32>) {
        let ids = |new: u32| {
            let number = new as usize;
            let first = number.checked_sub(1).map_or(0, |before| self.ends[before]);
            &self.ids[first..self.ends[number]]
        };
        let mut from = out.len();
        let missing: usize = self.gaps.iter().map(|gap| ids(gap.new).len()).sum();
        out.resize(from + missing, 0);
        let mut to = out.len();
        for gap in self.gaps.iter().rev() {
            to -= from - gap.at;
            out.copy_within(gap.at..from, to);
            let ids = ids(gap.new);
            to -= ids.len();
            out[to..to + ids.len()].copy_from_slice(ids);
            from = gap.at;
        }
        self.gaps.clear();
    }
}

fn long_key(text: &[u8], start: usize, length: usize) -> [u128; LONG_WORDS] {
    let head = bytes_at(text, start, 16);
    let tail = bytes_at(text, start + 16, length - 16);
    [head, tail | (length as u128) << 120]
}
