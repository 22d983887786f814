//! The merge loop that BPE and SentencePiece share: of all neighbours that may merge, the pair with
//! the lowest rank does, the leftmost first, until none may. Knows ids, not what they spell.

use super::hash::{Pairs, Ranked, UNRANKED};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Up to here a scan over all pairs beats a heap: it stays in two cache lines.
const SHORT: usize = 32;

/// No pair of these ids merges; a symbol of this id is text that is no token.
pub(crate) const NO_TOKEN: u32 = u32::MAX;

const NO_RANK: u32 = UNRANKED.rank;

/// Memory that the loop reuses from word to word.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    ranks: Vec<u32>,
    previous: Vec<u32>,
    next: Vec<u32>,
}

#[inline]
fn rank(pairs: &Pairs, left: u32, right: u32) -> u32 {
    pairs.find(left, right).rank
}

/// Merges `ids` in place. `first` is [`Pairs::find`] before any have merged: the place of the pair
/// is given too, for those who know a shorter way to the answer than their ids.
#[inline]
pub(crate) fn merge(
    ids: &mut Vec<u32>,
    pairs: &Pairs,
    scratch: &mut Scratch,
    first: impl Fn(usize, u32, u32) -> Ranked,
) {
    match ids.len() {
        0 | 1 => {}
        2..=SHORT => merge_short(ids, pairs, first),
        _ => merge_long(ids, pairs, scratch),
    }
}

/// The lowest rank is looked for among as many places as there were; a place that was merged into
/// the one before has none. So nothing moves before the end, and no branch depends on where the
/// lowest is.
#[inline]
fn merge_short(ids: &mut Vec<u32>, pairs: &Pairs, first: impl Fn(usize, u32, u32) -> Ranked) {
    const NONE: u64 = u64::MAX;
    let length = ids.len();
    // Of each place and the next one: what they merge into, and the rank with the place behind it.
    let (mut merges, mut ranks) = ([UNRANKED; SHORT], [NONE; SHORT]);
    let (mut previous, mut next) = ([0_u8; SHORT], [0_u8; SHORT]);
    let ranked = |merge: Ranked, place: usize| u64::from(merge.rank) << 8 | place as u64;
    for (place, pair) in ids.windows(2).enumerate() {
        merges[place] = first(place, pair[0], pair[1]);
        ranks[place] = ranked(merges[place], place);
        (next[place], previous[place + 1]) = (place as u8 + 1, place as u8);
    }
    next[length - 1] = length as u8;
    loop {
        let least = ranks[..length].iter().fold(NONE, |least, rank| least.min(*rank));
        if least >> 8 >= u64::from(NO_RANK) {
            break;
        }
        let best = (least & 0xff) as usize;
        let right = usize::from(next[best]);
        let after = usize::from(next[right]);
        ids[best] = pairs.result(merges[best]);
        ranks[right] = NONE;
        next[best] = after as u8;
        merges[best] = match after < length {
            true => pairs.find(ids[best], ids[after]),
            false => UNRANKED,
        };
        ranks[best] = ranked(merges[best], best);
        if after < length {
            previous[after] = best as u8;
        }
        if best > 0 {
            let before = usize::from(previous[best]);
            merges[before] = pairs.find(ids[before], ids[best]);
            ranks[before] = ranked(merges[before], before);
        }
    }
    let (mut at, mut kept) = (0, 0);
    while at < length {
        ids[kept] = ids[at];
        kept += 1;
        at = usize::from(next[at]);
    }
    ids.truncate(kept);
}

/// A heap of (rank, place) over a linked list. A place's rank is kept beside it, so that an entry
/// that a neighbour's merge made stale is known when it comes up. O(n log n), no recursion.
fn merge_long(ids: &mut Vec<u32>, pairs: &Pairs, scratch: &mut Scratch) {
    let length = ids.len();
    let Scratch { ranks, previous, next } = scratch;
    ranks.clear();
    ranks.extend(ids.windows(2).map(|pair| rank(pairs, pair[0], pair[1])));
    ranks.push(NO_RANK);
    previous.clear();
    previous.extend((0..length as u32).map(|at| at.wrapping_sub(1)));
    next.clear();
    next.extend(1..=length as u32);
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
        ids[left] = pairs.result(pairs.find(ids[left], ids[right]));
        ids[right] = NO_TOKEN;
        ranks[right] = NO_RANK;
        let after = next[right] as usize;
        next[left] = after as u32;
        ranks[left] = NO_RANK;
        if after < length {
            previous[after] = left as u32;
            ranks[left] = rank(pairs, ids[left], ids[after]);
            if ranks[left] != NO_RANK {
                heap.push(entry(ranks[left], left));
            }
        }
        let before = previous[left] as usize;
        if before < length {
            let new = rank(pairs, ids[before], ids[left]);
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
    ids.truncate(kept);
}
