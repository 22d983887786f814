//! An index from name to position for names that live elsewhere: open addressing over eight bytes
//! a slot, so a million names cost sixteen megabytes and are never stored twice. The hash is keyed
//! at random: a file cannot choose names that collide.

use std::hash::{BuildHasher, RandomState};

/// Finds the position of a name. The caller owns the names and lends them for each question.
#[derive(Debug, Clone, Default)]
pub struct NameIndex {
    /// 0 is free; otherwise half of the name's hash above position + 1. The hash makes it rare that
    /// a wrong name has to be looked at, which is what costs time among a million. The length is a
    /// power of two, at most half of it used.
    slots: Vec<u64>,
    used: usize,
    hasher: RandomState,
}

impl NameIndex {
    /// Room for `count` names, which the caller knows to be there.
    pub fn with_capacity(count: usize) -> NameIndex {
        let slots = vec![0; count.saturating_mul(2).next_power_of_two().max(16)];
        NameIndex { slots, ..NameIndex::default() }
    }

    /// Remembers that `name` is at `position`, unless the name is known: then its first position.
    /// `name_at` gives the name at a position that was inserted before.
    pub fn insert<'n>(
        &mut self,
        name: &[u8],
        position: u32,
        name_at: impl Fn(u32) -> &'n [u8],
    ) -> Result<(), u32> {
        if (self.used + 1) * 2 > self.slots.len() {
            self.grow();
        }
        let hash = self.hash(name);
        let slot = self.probe(hash, |at| name_at(at) == name);
        if let Some(known) = position_in(self.slots[slot]) {
            return Err(known);
        }
        self.slots[slot] = hash << 32 | (u64::from(position) + 1);
        self.used += 1;
        Ok(())
    }

    /// The position of `name`.
    pub fn find<'n>(&self, name: &[u8], name_at: impl Fn(u32) -> &'n [u8]) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let slot = self.probe(self.hash(name), |at| name_at(at) == name);
        position_in(self.slots[slot])
    }

    /// The half of a name's hash that is kept.
    fn hash(&self, name: &[u8]) -> u64 {
        self.hasher.hash_one(name) >> 32
    }

    /// The slot that holds the name with this hash for which `is_it`, or the free one for it.
    fn probe(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while let Some(at) = position_in(self.slots[slot]) {
            if self.slots[slot] >> 32 == hash && is_it(at) {
                break;
            }
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        let length = (self.slots.len() * 2).max(16);
        let old = std::mem::replace(&mut self.slots, vec![0; length]);
        for taken in old.into_iter().filter(|slot| *slot != 0) {
            let slot = self.probe(taken >> 32, |_| false);
            self.slots[slot] = taken;
        }
    }
}

fn position_in(slot: u64) -> Option<u32> {
    (slot as u32).checked_sub(1)
}
