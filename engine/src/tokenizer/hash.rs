//! Two open-addressed tables: pairs of ids → what they merge into, and byte strings → ids. Keyed by
//! a number drawn per process, so that no file can be made whose keys all collide. Know no text.

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

/// A pair that was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ranked {
    /// Lower merges first.
    pub rank: u32,
    slot: u32,
}

/// A pair that does not merge: its rank is above all others.
pub(crate) const UNRANKED: Ranked = Ranked { rank: u32::MAX, slot: 0 };

/// No left id: the slot is empty.
const EMPTY: u32 = u32::MAX;

/// What a lookup compares. Most pairs that are asked for do not merge, so this is what has to stay
/// in the caches, and the id of the result stands elsewhere.
#[derive(Debug, Clone, Copy)]
struct PairSlot {
    left: u32,
    right: u32,
    rank: u32,
}

/// (left id, right id) → merge. No left id is `u32::MAX`.
#[derive(Debug)]
pub(crate) struct Pairs {
    slots: Vec<PairSlot>,
    /// What the pair of the same slot merges into.
    ids: Vec<u32>,
    by: u64,
}

impl Pairs {
    /// A table for at most `count` pairs.
    pub(crate) fn with_capacity(count: usize) -> Self {
        // Three of five slots are taken: fewer would be further apart than the caches are large.
        let slots = (count + count / 3 * 2).max(16);
        let empty = PairSlot { left: EMPTY, right: 0, rank: 0 };
        Pairs { slots: vec![empty; slots], ids: vec![0; slots], by: multiplier() }
    }

    /// Where a pair is looked for first.
    #[inline(always)]
    fn home(&self, left: u32, right: u32) -> usize {
        let hash = fold(u64::from(left) << 32 | u64::from(right), self.by);
        ((u128::from(hash) * self.slots.len() as u128) >> 64) as usize
    }

    #[inline(always)]
    fn after(&self, slot: usize) -> usize {
        if slot + 1 == self.slots.len() { 0 } else { slot + 1 }
    }

    /// Adds a pair; false if it is there already.
    pub(crate) fn insert(&mut self, left: u32, right: u32, merge: Merge) -> bool {
        let mut at = self.home(left, right);
        loop {
            let slot = &mut self.slots[at];
            if (slot.left, slot.right) == (left, right) {
                return false;
            }
            if slot.left == EMPTY {
                *slot = PairSlot { left, right, rank: merge.rank };
                self.ids[at] = merge.id;
                return true;
            }
            at = self.after(at);
        }
    }

    /// The rank of a pair, and the slot that knows what it merges into.
    #[inline]
    pub(crate) fn find(&self, left: u32, right: u32) -> Ranked {
        let mut at = self.home(left, right);
        loop {
            let slot = &self.slots[at];
            if slot.left == EMPTY {
                return UNRANKED;
            }
            if (slot.left, slot.right) == (left, right) {
                return Ranked { rank: slot.rank, slot: at as u32 };
            }
            at = self.after(at);
        }
    }

    /// What a pair with a rank merges into.
    #[inline]
    pub(crate) fn result(&self, pair: Ranked) -> u32 {
        self.ids[pair.slot as usize]
    }

    /// What the pair merges into.
    #[inline]
    pub(crate) fn get(&self, left: u32, right: u32) -> Option<Merge> {
        let pair = self.find(left, right);
        (pair != UNRANKED).then(|| Merge { rank: pair.rank, id: self.result(pair) })
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
        Index { slots: vec![(0, NO_ID); slots_for(count)], by: multiplier() }
    }

    #[inline]
    fn hash(&self, key: &[u8]) -> u64 {
        let mut hash = key.len() as u64 ^ self.by;
        let mut words = key.chunks_exact(8);
        for word in &mut words {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(word);
            hash = fold(hash ^ u64::from_le_bytes(bytes), self.by);
        }
        let rest = words.remainder().iter();
        let rest = rest.fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
        fold(hash ^ rest, self.by)
    }

    /// Adds `key`; gives the id that has it already, if one does. `string` tells an id's string.
    pub(crate) fn insert<'s>(
        &mut self,
        key: &[u8],
        id: u32,
        string: impl Fn(u32) -> Option<&'s [u8]>,
    ) -> Option<u32> {
        let (hash, mask) = (self.hash(key), self.slots.len() - 1);
        let mut at = hash as usize & mask;
        loop {
            let (tag, known) = self.slots[at];
            if known == NO_ID {
                self.slots[at] = ((hash >> 32) as u32, id);
                return None;
            }
            if tag == (hash >> 32) as u32 && string(known) == Some(key) {
                return Some(known);
            }
            at = (at + 1) & mask;
        }
    }

    /// The id of `key`.
    #[inline]
    pub(crate) fn get<'s>(
        &self,
        key: &[u8],
        string: impl Fn(u32) -> Option<&'s [u8]>,
    ) -> Option<u32> {
        let (hash, mask) = (self.hash(key), self.slots.len() - 1);
        let mut at = hash as usize & mask;
        loop {
            let (tag, known) = self.slots[at];
            if known == NO_ID {
                return None;
            }
            if tag == (hash >> 32) as u32 && string(known) == Some(key) {
                return Some(known);
            }
            at = (at + 1) & mask;
        }
    }
}
