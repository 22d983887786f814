//! The merge loop that BPE and SentencePiece share: of all neighbours that may merge, the pair with
//! the lowest rank does, the leftmost first, until none may. Knows ids, not what they spell.

use super::hash::{Merge, Pairs};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Up to here a scan over all pairs beats a heap: it stays in two cache lines.
const SHORT: usize = 32;

/// No pair of these ids merges; a symbol of this id is text that is no token.
pub(crate) const NO_TOKEN: u32 = u32::MAX;

const NO_RANK: u32 = u32::MAX;

/// Memory that the loop reuses from word to word.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    ranks: Vec<u32>,
    previous: Vec<u32>,
    next: Vec<u32>,
}

#[inline]
fn rank(pairs: &Pairs, left: u32, right: u32) -> u32 {
    pairs.get(left, right).map_or(NO_RANK, |merge| merge.rank)
}

/// Merges `ids` in place.
pub(crate) fn merge(ids: &mut Vec<u32>, pairs: &Pairs, scratch: &mut Scratch) {
    match ids.len() {
        0 | 1 => {}
        2..=SHORT => merge_short(ids, pairs),
        _ => merge_long(ids, pairs, scratch),
    }
}

fn merge_short(ids: &mut Vec<u32>, pairs: &Pairs) {
    const NONE: Merge = Merge { rank: NO_RANK, id: NO_TOKEN };
    let find = |left, right| pairs.get(left, right).unwrap_or(NONE);
    // merges[i] is what ids[i] and ids[i + 1] merge into.
    let mut merges = [NONE; SHORT];
    let mut length = ids.len();
    for (merge, pair) in merges.iter_mut().zip(ids.windows(2)) {
        *merge = find(pair[0], pair[1]);
    }
    while length > 1 {
        let (mut best, mut best_rank) = (0, NO_RANK);
        for (index, merge) in merges[..length - 1].iter().enumerate() {
            if merge.rank < best_rank {
                (best, best_rank) = (index, merge.rank);
            }
        }
        if best_rank == NO_RANK {
            break;
        }
        ids[best] = merges[best].id;
        ids.copy_within(best + 2..length, best + 1);
        merges.copy_within(best + 1..length - 1, best);
        length -= 1;
        if best > 0 {
            merges[best - 1] = find(ids[best - 1], ids[best]);
        }
        if best + 1 < length {
            merges[best] = find(ids[best], ids[best + 1]);
        }
    }
    ids.truncate(length);
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
        let Some(merge) = pairs.get(ids[left], ids[right]) else {
            continue;
        };
        ids[left] = merge.id;
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
