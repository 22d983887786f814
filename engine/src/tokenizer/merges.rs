//! The merges of a vocabulary, from texts to ids. A file of a large vocabulary lists half a million
//! of them, which is most of what loading it takes. Knows no ranks but their order.

use super::by_text::{ByText, TOGETHER};
use super::hash::Merge;
use super::memory::roomy;
use super::short::{NOT_SHORT, joined, only, short};
use super::vocab::bad_merges;
use crate::error::{Error, Result, shown};
use crate::loader::gguf::Strings;

/// So many merges are looked up together: each has two parts.
const AT_ONCE: usize = TOGETHER / 2;

/// (left id, right id, what they merge into), in order; each part must be a token.
pub(crate) fn read(strings: &Strings, tokens: &ByText) -> Result<Vec<(u32, u32, Merge)>> {
    let mut reader = Reader { strings, tokens, last: u32::MAX };
    let mut merges = roomy(strings.len());
    for first in (0..strings.len()).step_by(AT_ONCE) {
        reader.append(first, &mut merges)?;
    }
    Ok(merges)
}

struct Reader<'a> {
    strings: &'a Strings,
    tokens: &'a ByText<'a>,
    /// What was made last.
    last: u32,
}

impl<'a> Reader<'a> {
    /// Appends the merges from number `first` on, at most [`AT_ONCE`].
    fn append(&mut self, first: usize, merges: &mut Vec<(u32, u32, Merge)>) -> Result<()> {
        let mut texts = [(NOT_SHORT, &[][..]); TOGETHER];
        let mut ids = [None; TOGETHER];
        let mut count = 0;
        let mut read = Ok(());
        for number in first..self.strings.len().min(first + AT_ONCE) {
            match self.parts(number) {
                Ok(parts) => texts[count..count + 2].copy_from_slice(&parts),
                // What is wrong with a merge before it is told first.
                Err(error) => {
                    read = Err(error);
                    break;
                }
            }
            count += 2;
        }
        self.tokens.get_all(&texts[..count], &mut ids);
        let pairs = texts[..count].as_chunks::<2>().0.iter().zip(ids.as_chunks::<2>().0);
        let strings = self.strings;
        for (number, (parts, ids)) in (first..).zip(pairs) {
            let refused = |what| bad_merge(strings, number, what);
            let left = ids[0].ok_or_else(|| refused("begins with no token"))?;
            let right = ids[1].ok_or_else(|| refused("ends with no token"))?;
            let made = self.made(parts).ok_or_else(|| refused("makes what is no token"))?;
            self.last = made;
            merges.push((left, right, Merge { rank: number as u32, id: made }));
        }
        read
    }

    /// The two texts of a merge, each with what it is as a short one.
    #[inline(always)]
    fn parts(&self, number: usize) -> Result<[(u128, &'a [u8]); 2]> {
        let (window, length) = self.strings.window(number).unwrap_or_default();
        let merge = &window[..length];
        let space = match only(window, length, b' ').filter(|space| space + 1 < length) {
            Some(space) => space,
            None => carefully(merge).map_err(|what| bad_merge(self.strings, number, what))?,
        };
        let right = space + 1;
        Ok([
            (short(window, 0, space), &merge[..space]),
            (short(window, right, length - right), &merge[right..]),
        ])
    }

    /// The token that two parts make. Files list merges in the order of what they make, each in
    /// every way to make it, so it is nearly always the last one or the next.
    #[inline(always)]
    fn made(&self, [(left_key, left), (right_key, right)]: &[(u128, &[u8]); 2]) -> Option<u32> {
        let key = joined(*left_key, *right_key);
        let near = [self.last, self.last.wrapping_add(1)];
        let found = near.into_iter().find(|id| self.tokens.is(*id, key, left, right));
        found.or_else(|| self.tokens.get(&[*left, *right].concat()))
    }
}

/// Where the space of a long merge is, or what is wrong with it.
fn carefully(merge: &[u8]) -> Result<usize, &'static str> {
    // A token may begin with a space, as far as the format goes.
    let space = memchr::memchr(b' ', merge.get(1..).unwrap_or_default());
    let space = space.ok_or("has no space between two tokens")? + 1;
    let right = &merge[space + 1..];
    if right.is_empty() || right.contains(&b' ') {
        return Err("is not two tokens with one space between them");
    }
    Ok(space)
}

fn bad_merge(strings: &Strings, number: usize, what: &str) -> Error {
    let merge = shown(strings.get(number).unwrap_or_default());
    bad_merges(format!("merge {number} {merge} {what}"))
}
