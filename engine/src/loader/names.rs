//! An index from name to position for names that live elsewhere: open addressing over 32-bit
//! positions, so a million names cost four to sixteen megabytes and are never stored twice.
//! The hash is keyed at random: a file cannot choose names that collide.

use std::hash::{BuildHasher, RandomState};

/// Finds the position of a name. The caller owns the names and lends them for each question.
#[derive(Debug, Clone, Default)]
pub struct NameIndex {
    /// 0 is free; otherwise position + 1. The length is a power of two, at most half of it used.
    slots: Vec<u32>,
    used: usize,
    hasher: RandomState,
}

impl NameIndex {
    /// Remembers that `name` is at `position`, unless the name is known: then its first position.
    /// `name_at` gives the name at a position that was inserted before.
    pub fn insert<'n>(
        &mut self,
        name: &[u8],
        position: u32,
        name_at: impl Fn(u32) -> &'n [u8],
    ) -> Result<(), u32> {
        if (self.used + 1) * 2 > self.slots.len() {
            self.grow(&name_at);
        }
        let slot = self.probe(name, &name_at);
        match self.slots[slot] {
            0 => {
                self.slots[slot] = position + 1;
                self.used += 1;
                Ok(())
            }
            taken => Err(taken - 1),
        }
    }

    /// The position of `name`.
    pub fn find<'n>(&self, name: &[u8], name_at: impl Fn(u32) -> &'n [u8]) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        self.slots[self.probe(name, name_at)].checked_sub(1)
    }

    /// The slot that holds `name`, or the free one where it belongs.
    fn probe<'n>(&self, name: &[u8], name_at: impl Fn(u32) -> &'n [u8]) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = self.hasher.hash_one(name) as usize & mask;
        while self.slots[slot] != 0 && name_at(self.slots[slot] - 1) != name {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow<'n>(&mut self, name_at: impl Fn(u32) -> &'n [u8]) {
        let length = (self.slots.len() * 2).max(16);
        let old = std::mem::replace(&mut self.slots, vec![0; length]);
        for taken in old.into_iter().filter(|slot| *slot != 0) {
            let slot = self.probe(name_at(taken - 1), &name_at);
            self.slots[slot] = taken;
        }
    }
}
