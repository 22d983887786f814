//! Two open-addressed tables: pairs of ids → what they merge into, and byte strings → ids. Keyed by
//! a number drawn per process, so that no file can be made whose keys all collide. Know no text.

use super::memory::{prefetch, table};
use super::short::{SHORT, short};
use std::hash::{BuildHasher, RandomState};

/// An odd multiplier that no file can know.
fn multiplier() -> u64 {
    RandomState::new().hash_one(0x9e37_79b9_7f4a_7c15_u64) | 1
}

/// Folds a 128-bit product: every bit of the input reaches every bit of the result.
#[inline(always)]
fn fold(value: u64, by: u64) -> u64 {
    let product = u128::from(value) * u128::from(by);
    product as u64 ^ (product >> 64) as u64
}

fn slots_for(count: usize) -> usize {
    (count * 2).next_power_of_two().max(16)
}

/// What a pair merges into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Merge {
    /// Lower merges first.
    pub rank: u32,
    /// The id of the result.
    pub id: u32,
}

/// What a pair that does not merge is answered with: its rank is above all others.
pub(crate) const NO_MERGE: Merge = Merge { rank: u32::MAX, id: 0 };

/// Ranks are below this: the merge loop keeps one and a place in 31 bits. The largest vocabulary we
/// know of has half a million merges.
pub(crate) const MOST_RANKS: u32 = (1 << 24) - 1;

/// While a table is filled, so many pairs are on their way at once.
const TOGETHER: usize = 32;

/// No left id: the slot is empty.
const EMPTY: u32 = u32::MAX;

/// All that is known of a pair, in a quarter of a cache line: a lookup waits for memory once.
#[derive(Debug, Clone, Copy)]
#[repr(align(16))]
struct PairSlot {
    left: u32,
    right: u32,
    merge: Merge,
}

/// (left id, right id) → merge. No left id is `u32::MAX`.
///
/// Of a vocabulary's pairs few are looked for often, and those are of early ids: a twentieth of
/// o200k's pairs answers two of three lookups. So pairs of early ids stand together, where a cache
/// can hold them; spread over the whole table, each would share its cache line with three others
/// that nobody asks for. The very first ids are bytes, with which every merging of them begins;
/// what two of these merge into is not even looked for.
#[derive(Debug)]
pub(crate) struct Pairs {
    /// Of ids below [`FIRST`]: at `FIRST` times the left one plus the right one.
    first: Vec<Merge>,
    slots: Vec<PairSlot>,
    /// By how many leading zeros the larger id of a pair has.
    parts: [Part; 33],
    by: u64,
}

const FIRST: u32 = 256;

/// Slots that stand together; at least one is empty.
#[derive(Debug, Clone, Copy, Default)]
struct Part {
    start: usize,
    length: usize,
}

fn part_of(left: u32, right: u32) -> usize {
    (left | right).leading_zeros() as usize
}

impl Part {
    #[inline(always)]
    fn after(&self, slot: usize) -> usize {
        if slot + 1 == self.start + self.length { self.start } else { slot + 1 }
    }
}

impl Pairs {
    /// A table of these pairs, or what is wrong with them.
    pub(crate) fn new(pairs: &[(u32, u32, Merge)]) -> Result<Self, String> {
        let mut counts = [0; 33];
        pairs.iter().for_each(|(left, right, _)| counts[part_of(*left, *right)] += 1);
        let mut parts = [Part::default(); 33];
        let mut start = 0;
        for (part, count) in parts.iter_mut().zip(counts).rev() {
            // Three of five slots are taken: fewer would be further apart than caches are large.
            let length = count + count / 3 * 2 + 2;
            *part = Part { start, length };
            start += length;
        }
        let empty = PairSlot { left: EMPTY, right: 0, merge: NO_MERGE };
        let mut all = Pairs {
            first: vec![NO_MERGE; (FIRST * FIRST) as usize],
            slots: table(empty, start),
            parts,
            by: multiplier(),
        };
        let mut homes = [(Part::default(), 0); TOGETHER];
        for (round, pairs) in pairs.chunks(TOGETHER).enumerate() {
            for (home, (left, right, _)) in homes.iter_mut().zip(pairs) {
                *home = all.home(*left, *right);
                prefetch(&all.slots, home.1);
            }
            for (place, ((left, right, merge), home)) in pairs.iter().zip(homes).enumerate() {
                let number = round * TOGETHER + place;
                if merge.rank >= MOST_RANKS {
                    return Err(format!("merge {number} is beyond the {MOST_RANKS} that we read"));
                }
                if !all.insert(home, PairSlot { left: *left, right: *right, merge: *merge }) {
                    return Err(format!("merge {number} is there twice"));
                }
            }
        }
        Ok(all)
    }

    /// The part of a pair, and where in it the pair is looked for first.
    #[inline(always)]
    fn home(&self, left: u32, right: u32) -> (Part, usize) {
        let part = self.parts[part_of(left, right)];
        let hash = fold(u64::from(left) << 32 | u64::from(right), self.by);
        (part, part.start + ((u128::from(hash) * part.length as u128) >> 64) as usize)
    }

    /// Adds a pair at its home or behind it; false if it is there already.
    fn insert(&mut self, (part, mut at): (Part, usize), pair: PairSlot) -> bool {
        loop {
            let slot = &mut self.slots[at];
            if (slot.left, slot.right) == (pair.left, pair.right) {
                return false;
            }
            if slot.left == EMPTY {
                *slot = pair;
                break;
            }
            at = part.after(at);
        }
        if (pair.left | pair.right) < FIRST {
            self.first[(pair.left * FIRST + pair.right) as usize] = pair.merge;
        }
        true
    }

    /// The pair will be looked for soon: what [`Pairs::find`] reads is on its way from now on.
    #[inline(always)]
    pub(crate) fn call(&self, left: u32, right: u32) {
        prefetch(&self.slots, self.home(left, right).1);
    }

    /// What the pair merges into, or [`NO_MERGE`].
    #[inline(always)]
    pub(crate) fn find(&self, left: u32, right: u32) -> Merge {
        if (left | right) < FIRST {
            return self.first[(left * FIRST + right) as usize];
        }
        let (part, mut at) = self.home(left, right);
        loop {
            let slot = &self.slots[at];
            if (slot.left, slot.right) == (left, right) {
                return slot.merge;
            }
            if slot.left == EMPTY {
                return NO_MERGE;
            }
            at = part.after(at);
        }
    }

    /// What the pair merges into.
    #[inline]
    pub(crate) fn get(&self, left: u32, right: u32) -> Option<Merge> {
        Some(self.find(left, right)).filter(|merge| *merge != NO_MERGE)
    }
}

/// Byte string → id. The strings live elsewhere, with the ids; a slot holds an id and 32 bits of
/// the hash, so that a miss hardly ever looks at a string.
#[derive(Debug)]
pub(crate) struct Index {
    slots: Vec<(u32, u32)>,
    by: u64,
}

const NO_ID: u32 = u32::MAX;

impl Index {
    /// A table for at most `count` strings.
    pub(crate) fn with_capacity(count: usize) -> Self {
        Index { slots: table((0, NO_ID), slots_for(count)), by: multiplier() }
    }

    /// Of any text; of a short one, the same as [`Index::hash_short`].
    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        if key.len() <= SHORT {
            return self.hash_short(short(key, 0, key.len()));
        }
        let mut hash = key.len() as u64 ^ self.by;
        let (words, rest) = key.as_chunks::<8>();
        for word in words {
            hash = fold(hash ^ u64::from_le_bytes(*word), self.by);
        }
        // What is left is read together with bytes before it: how long the key is, is in the hash.
        match key.last_chunk::<8>() {
            Some(last) if !rest.is_empty() => fold(hash ^ u64::from_le_bytes(*last), self.by),
            _ => hash,
        }
    }

    /// Of a short text.
    #[inline(always)]
    pub(crate) fn hash_short(&self, key: u128) -> u64 {
        fold(fold(key as u64 ^ self.by, self.by) ^ (key >> 64) as u64, self.by)
    }

    /// A text with this hash will be looked for or added soon: its slot is on its way from now on.
    #[inline(always)]
    pub(crate) fn call(&self, hash: u64) {
        prefetch(&self.slots, hash as usize & (self.slots.len() - 1));
    }

    /// Adds the id of a text with this hash; gives the id that has it already, if one does.
    #[inline]
    pub(crate) fn insert(
        &mut self,
        hash: u64,
        id: u32,
        has_this_text: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        match self.probe(hash, has_this_text) {
            Ok(known) => Some(known),
            Err(free) => {
                self.slots[free] = ((hash >> 32) as u32, id);
                None
            }
        }
    }

    /// The first id whose text has, as far as a slot tells, this hash and is the one meant.
    #[inline(always)]
    pub(crate) fn find(&self, hash: u64, is_meant: impl Fn(u32) -> bool) -> Option<u32> {
        self.probe(hash, is_meant).ok()
    }

    /// That id, or the slot where it would be.
    #[inline(always)]
    fn probe(&self, hash: u64, is_meant: impl Fn(u32) -> bool) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let (tag, known) = self.slots[at];
            if known == NO_ID {
                return Err(at);
            }
            if tag == (hash >> 32) as u32 && is_meant(known) {
                return Ok(known);
            }
            at = (at + 1) & mask;
        }
    }
}
