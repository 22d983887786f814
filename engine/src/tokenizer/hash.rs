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

const EMPTY: u64 = u64::MAX;

#[derive(Debug, Clone, Copy)]
struct PairSlot {
    key: u64,
    merge: Merge,
}

/// (left id, right id) → merge.
#[derive(Debug)]
pub(crate) struct Pairs {
    slots: Vec<PairSlot>,
    by: u64,
}

impl Pairs {
    /// A table for at most `count` pairs.
    pub(crate) fn with_capacity(count: usize) -> Self {
        let merge = Merge { rank: 0, id: 0 };
        Pairs { slots: vec![PairSlot { key: EMPTY, merge }; slots_for(count)], by: multiplier() }
    }

    #[inline(always)]
    fn key(left: u32, right: u32) -> u64 {
        u64::from(left) << 32 | u64::from(right)
    }

    /// Adds a pair; false if it is there already.
    pub(crate) fn insert(&mut self, left: u32, right: u32, merge: Merge) -> bool {
        let (key, mask) = (Self::key(left, right), self.slots.len() - 1);
        let mut at = fold(key, self.by) as usize & mask;
        loop {
            let slot = &mut self.slots[at];
            if slot.key == key {
                return false;
            }
            if slot.key == EMPTY {
                *slot = PairSlot { key, merge };
                return true;
            }
            at = (at + 1) & mask;
        }
    }

    /// What the pair merges into.
    #[inline]
    pub(crate) fn get(&self, left: u32, right: u32) -> Option<Merge> {
        let (key, mask) = (Self::key(left, right), self.slots.len() - 1);
        let mut at = fold(key, self.by) as usize & mask;
        loop {
            let slot = &self.slots[at];
            if slot.key == key {
                return (key != EMPTY).then_some(slot.merge);
            }
            if slot.key == EMPTY {
                return None;
            }
            at = (at + 1) & mask;
        }
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
