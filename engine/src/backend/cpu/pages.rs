//! Memory for what is written once and read for every token: in large pages where the system has
//! such for those who ask, because a processor that reads ahead of itself stops at the end of a
//! page, and asks for the address of every one. Knows bytes, not what is in them.

use super::available::available;
use memmap2::{MmapMut, MmapRaw};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// What a large page holds.
const LARGE: usize = 2 << 20;
/// Bytes that are mapped at a time at most, unless more lie together.
const CHUNK: usize = 64 << 20;
/// Bytes that the system keeps for everything else.
const SPARED: usize = 512 << 20;
/// What a register or a line of the cache begins with.
const ALIGNED: usize = 64;

/// Hands out places one after the other.
#[derive(Debug, Default)]
pub struct Pages {
    chunk: Option<Arc<MmapRaw>>,
    /// Where the rest of the chunk begins.
    next: usize,
    mapped: usize,
    used: usize,
    refused: usize,
    /// Bytes that may be mapped; what the system can do without, where nobody says.
    limit: Option<usize>,
}

/// Some bytes that nobody else has, zeros at first.
#[derive(Debug)]
pub struct Place {
    chunk: Arc<MmapRaw>,
    range: Range<usize>,
}

impl Pages {
    /// At most so many bytes.
    pub fn limited(bytes: usize) -> Pages {
        Pages { limit: Some(bytes), ..Pages::default() }
    }

    /// A place for so many bytes; none if there is not enough memory to spare.
    pub fn place(&mut self, bytes: usize) -> Option<Place> {
        let place = self.found(bytes);
        *if place.is_some() { &mut self.used } else { &mut self.refused } += bytes;
        place
    }

    /// A chunk is as large as all before it, so that little is mapped for little.
    fn found(&mut self, bytes: usize) -> Option<Place> {
        let room = |chunk: &Arc<MmapRaw>| chunk.len() - self.next >= bytes;
        let chunk = match self.chunk.clone().filter(room) {
            Some(chunk) => chunk,
            None => {
                let spare = match self.limit {
                    Some(limit) => limit.saturating_sub(self.mapped),
                    None => available(Path::new("/")).saturating_sub(SPARED),
                };
                let wanted = self.mapped.min(CHUNK).min(spare / 2).max(bytes);
                let large = if wanted < LARGE { ALIGNED } else { LARGE };
                // One more, to begin where one begins.
                let length = wanted.next_multiple_of(large) + large;
                if length > spare {
                    return None;
                }
                let map = MmapMut::map_anon(length).ok()?;
                #[cfg(target_os = "linux")]
                if large == LARGE {
                    // Nothing is lost where it is refused.
                    let _ = map.advise(memmap2::Advice::HugePage);
                }
                let start = map.as_ptr().addr();
                self.next = start.next_multiple_of(large) - start;
                self.mapped += length;
                Arc::new(MmapRaw::from(map))
            }
        };
        let range = self.next..self.next + bytes;
        self.next = range.end.next_multiple_of(ALIGNED).min(chunk.len());
        self.chunk = Some(chunk.clone());
        Some(Place { chunk, range })
    }

    /// Bytes of all places.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Bytes that there was no place for.
    pub fn refused(&self) -> usize {
        self.refused
    }
}

impl Place {
    /// What is there.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: within the chunk, which lives as long as the place; no two places overlap, and
        // this one is written through a mutable reference to it alone.
        unsafe {
            let start = self.chunk.as_ptr().add(self.range.start);
            std::slice::from_raw_parts(start, self.range.len())
        }
    }

    /// The same, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe {
            let start = self.chunk.as_mut_ptr().add(self.range.start);
            std::slice::from_raw_parts_mut(start, self.range.len())
        }
    }
}
