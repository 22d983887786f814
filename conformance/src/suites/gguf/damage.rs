//! Random damage to a file, reproducible from a number. Knows where a file's fields lie, not what
//! a reader says to the result.

use super::construct::File;
use super::mutate::boundaries;

/// Damage reaches at most this far behind the head: data bytes are not the reader's business.
const REACH: usize = 256;
const MOST_WOUNDS: u64 = 4;

/// A counter-based generator: the n-th mutant is the same on every machine and in every order.
struct Dice(u64);

impl Dice {
    /// The next number below `sides` (SplitMix64; the bias is below 2^-40 for our sizes).
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides.max(1)
    }

    fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    fn span(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.index(length);
        let longest = (length - start).min(64);
        start..start + self.index(longest + 1)
    }
}

/// The mutant with number `seed`.
pub fn mutant(base: &File, seed: u64) -> Vec<u8> {
    let mut dice = Dice(seed.wrapping_mul(0xa076_1d64_78bd_642f));
    let mut bytes = base.bytes.clone();
    let last = base.fields.last().map_or(0, |field| field.at + field.width);
    for _ in 0..=dice.below(MOST_WOUNDS) {
        let reach = bytes.len().min(last + REACH);
        if reach > 0 {
            wound(base, &mut bytes, reach, &mut dice);
        }
    }
    bytes
}

fn wound(base: &File, bytes: &mut Vec<u8>, reach: usize, dice: &mut Dice) {
    match dice.below(8) {
        0 => bytes[dice.index(reach)] ^= 1 << dice.below(8),
        1 => bytes[dice.index(reach)] = dice.below(256) as u8,
        2 => drop(bytes.drain(dice.span(reach))),
        3 => bytes.truncate(dice.index(reach)),
        4 => {
            let copied = bytes[dice.span(reach)].to_vec();
            let at = dice.index(reach);
            bytes.splice(at..at, copied);
        }
        5 => {
            let copied = bytes[dice.span(reach)].to_vec();
            let at = dice.index(reach.saturating_sub(copied.len()));
            bytes[at..at + copied.len()].copy_from_slice(&copied);
        }
        _ => field(base, bytes, dice),
    }
}

/// Sets a field to a boundary value or to that of another field.
fn field(base: &File, bytes: &mut [u8], dice: &mut Dice) {
    let target = &base.fields[dice.index(base.fields.len())];
    let Some(place) = bytes.get_mut(target.at..target.at + target.width) else { return };
    let mut values: Vec<u64> = boundaries(target, base.bytes.len() as u64).collect();
    let other = &base.fields[dice.index(base.fields.len())];
    let mut wide = [0; 8];
    wide[..other.width].copy_from_slice(&base.bytes[other.at..other.at + other.width]);
    values.push(u64::from_le_bytes(wide));
    let value = values[dice.index(values.len())];
    place.copy_from_slice(&value.to_le_bytes()[..target.width]);
}
