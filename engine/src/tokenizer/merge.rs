//! The merging that BPE and SentencePiece share: of all neighbours that may merge, the pair with
//! the lowest rank does, the leftmost first, until none may. Knows ids, not what they spell.
//!
//! A table of pairs is larger than the caches that are near, so what merging costs is waiting for
//! it. Therefore many words are merged by turns: each asks for the pairs that it looks at next, and
//! while they are on their way the others have theirs.

use super::hash::{MOST_RANKS, NO_MERGE, Pairs};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// No pair of these ids merges; a symbol of this id is text that is no token.
pub(crate) const NO_TOKEN: u32 = u32::MAX;

const NO_RANK: u32 = NO_MERGE.rank;

/// Up to here a scan over all pairs beats a heap.
const SHORT: usize = 128;

/// So many words take turns: enough for the memory to answer between two turns of one of them.
const TOGETHER: usize = 12;

/// Words to be merged, and then what they were merged into.
#[derive(Debug, Default)]
pub(crate) struct Words {
    /// The symbols of all words, one word after another.
    pub(crate) symbols: Vec<u32>,
    /// Where in `symbols` each word begins, and how many symbols it has.
    spans: Vec<(usize, usize)>,
}

impl Words {
    pub(crate) fn clear(&mut self) {
        self.symbols.clear();
        self.spans.clear();
    }

    /// What was appended to `symbols` since the last call is a word. Not after [`Words::merge`].
    pub(crate) fn close(&mut self) {
        let start = self.spans.last().map_or(0, |(start, length)| start + length);
        self.spans.push((start, self.symbols.len() - start));
    }

    /// The symbols of a word.
    pub(crate) fn get(&self, word: usize) -> &[u32] {
        let (start, length) = self.spans[word];
        &self.symbols[start..start + length]
    }

    /// Merges every word.
    pub(crate) fn merge(&mut self, pairs: &Pairs) {
        let mut turns = [const { Turn::NONE }; TOGETHER];
        let mut next = 0;
        let mut waiting = 0;
        for turn in &mut turns {
            waiting += usize::from(self.begin(turn, &mut next, pairs));
        }
        while waiting > 0 {
            for turn in turns.iter_mut().filter(|turn| turn.length > 0) {
                if turn.merge_one(pairs) {
                    continue;
                }
                let (start, length) = &mut self.spans[turn.word];
                *length = turn.write(&mut self.symbols[*start..]);
                if !self.begin(turn, &mut next, pairs) {
                    waiting -= 1;
                }
            }
        }
    }

    /// The turn gets the next short word, if there is one; long words are merged on the way to it.
    fn begin(&mut self, turn: &mut Turn, next: &mut usize, pairs: &Pairs) -> bool {
        turn.length = 0;
        while let Some((start, length)) = self.spans.get_mut(*next) {
            let symbols = &mut self.symbols[*start..*start + *length];
            if (2..=SHORT).contains(length) {
                turn.begin(symbols, *next, pairs);
                *next += 1;
                return true;
            }
            *length = merge_long(symbols, pairs);
            *next += 1;
        }
        false
    }
}

/// A short word that is being merged. A place is where a symbol stood at first; a symbol that was
/// merged stands where its first part did.
struct Turn {
    word: usize,
    /// Places; none if there is no word.
    length: usize,
    /// The place that was merged into last.
    last: usize,
    ids: [u32; SHORT],
    /// Of each place: the rank of its pair with the next one, and the place itself in the lowest
    /// bits, so that one minimum finds both.
    ranks: [i32; SHORT],
    /// What the pair merges into.
    results: [u32; SHORT],
    previous: [u8; SHORT],
    next: [u8; SHORT],
}

const NO_PAIR: i32 = i32::MAX;

// Every rank and place together are below what stands for none.
const _: () = assert!(MOST_RANKS as u64 * SHORT as u64 <= NO_PAIR as u64);

/// So many ranks are compared at once.
const ABREAST: usize = 8;

impl Turn {
    const NONE: Turn = Turn {
        word: 0,
        length: 0,
        last: 0,
        ids: [0; SHORT],
        ranks: [NO_PAIR; SHORT],
        results: [0; SHORT],
        previous: [0; SHORT],
        next: [0; SHORT],
    };

    fn begin(&mut self, symbols: &[u32], word: usize, pairs: &Pairs) {
        self.length = symbols.len();
        self.word = word;
        self.ids[..symbols.len()].copy_from_slice(symbols);
        for place in 0..symbols.len() {
            (self.previous[place], self.next[place]) =
                (place.wrapping_sub(1) as u8, place as u8 + 1);
            self.look(pairs, place);
        }
        self.ranks[symbols.len()..symbols.len().next_multiple_of(ABREAST)].fill(NO_PAIR);
        self.last = 0;
    }

    /// Merges the pair of the lowest rank, if any has one, and asks for the two pairs that are new
    /// then.
    #[inline(always)]
    fn merge_one(&mut self, pairs: &Pairs) -> bool {
        self.look(pairs, self.last);
        if self.last > 0 {
            self.look(pairs, usize::from(self.previous[self.last]));
        }
        let lowest = self.lowest();
        if lowest == NO_PAIR {
            return false;
        }
        let best = lowest as usize % SHORT;
        let right = usize::from(self.next[best]) % SHORT;
        let after = usize::from(self.next[right]);
        self.ids[best] = self.results[best];
        // Nothing moves: a place that was merged into another has no pair any more.
        self.ranks[right] = NO_PAIR;
        self.next[best] = after as u8;
        if after < self.length {
            self.previous[after] = best as u8;
            pairs.call(self.ids[best], self.ids[after]);
        }
        if best > 0 {
            pairs.call(self.ids[usize::from(self.previous[best]) % SHORT], self.ids[best]);
        }
        self.last = best;
        true
    }

    /// Writes down what is known of the pair of a place and the next one.
    #[inline(always)]
    fn look(&mut self, pairs: &Pairs, place: usize) {
        let place = place % SHORT;
        let next = usize::from(self.next[place]);
        let merge = match next < self.length {
            true => pairs.find(self.ids[place], self.ids[next % SHORT]),
            false => NO_MERGE,
        };
        self.results[place] = merge.id;
        self.ranks[place] = match merge.rank {
            NO_RANK => NO_PAIR,
            rank => (rank as usize * SHORT + place) as i32,
        };
    }

    #[inline(always)]
    fn lowest(&self) -> i32 {
        let mut lowest = [NO_PAIR; ABREAST];
        let used = self.length.next_multiple_of(ABREAST);
        for ranks in self.ranks[..used].chunks_exact(ABREAST) {
            for (lowest, rank) in lowest.iter_mut().zip(ranks) {
                *lowest = (*lowest).min(*rank);
            }
        }
        lowest.into_iter().fold(NO_PAIR, i32::min)
    }

    /// Writes the symbols that are left, and says how many.
    fn write(&self, out: &mut [u32]) -> usize {
        let (mut at, mut kept) = (0, 0);
        while at < self.length {
            out[kept] = self.ids[at % SHORT];
            kept += 1;
            at = usize::from(self.next[at % SHORT]);
        }
        kept
    }
}

/// A heap of (rank, place) over a linked list. A place's rank is kept beside it, so that an entry
/// that a neighbour's merge made stale is known when it comes up. O(n log n), no recursion. Gives
/// how many symbols are left.
fn merge_long(ids: &mut [u32], pairs: &Pairs) -> usize {
    let length = ids.len();
    let rank = |left: u32, right: u32| pairs.find(left, right).rank;
    let mut ranks: Vec<u32> = ids.windows(2).map(|pair| rank(pair[0], pair[1])).collect();
    ranks.push(NO_RANK);
    let mut previous: Vec<u32> = (0..length as u32).map(|at| at.wrapping_sub(1)).collect();
    let mut next: Vec<u32> = (1..=length as u32).collect();
    let entry = |rank: u32, at: usize| Reverse(u64::from(rank) << 32 | at as u64);
    let mut heap: BinaryHeap<Reverse<u64>> = (ranks.iter().enumerate())
        .filter(|(_, rank)| **rank != NO_RANK)
        .map(|(at, rank)| entry(*rank, at))
        .collect();
    while let Some(Reverse(top)) = heap.pop() {
        let (left, top_rank) = ((top & 0xffff_ffff) as usize, (top >> 32) as u32);
        if ranks[left] != top_rank {
            continue;
        }
        let right = next[left] as usize;
        ids[left] = pairs.find(ids[left], ids[right]).id;
        ids[right] = NO_TOKEN;
        ranks[right] = NO_RANK;
        let after = next[right] as usize;
        next[left] = after as u32;
        ranks[left] = NO_RANK;
        if after < length {
            previous[after] = left as u32;
            ranks[left] = rank(ids[left], ids[after]);
            if ranks[left] != NO_RANK {
                heap.push(entry(ranks[left], left));
            }
        }
        let before = previous[left] as usize;
        if before < length {
            let new = rank(ids[before], ids[left]);
            if new != ranks[before] {
                ranks[before] = new;
                if new != NO_RANK {
                    heap.push(entry(new, before));
                }
            }
        }
    }
    let (mut at, mut kept) = (0, 0);
    while at < length {
        ids[kept] = ids[at];
        kept += 1;
        at = next[at] as usize;
    }
    kept
}
