//! Memory for what is written once and read for every token: in large pages where the system has
//! such for those who ask, because a processor that reads ahead of itself stops at the end of a
//! page, and asks for the address of every one. Knows bytes, not what is in them.

use memmap2::{MmapMut, MmapRaw};
use std::ops::Range;
use std::sync::Arc;

/// What a large page holds.
const LARGE: usize = 2 << 20;
/// Bytes that are mapped at a time at most, unless more lie together.
const CHUNK: usize = 64 << 20;
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
}

/// Some bytes that nobody else has, zeros at first.
#[derive(Debug)]
pub struct Place {
    chunk: Arc<MmapRaw>,
    range: Range<usize>,
}

impl Pages {
    /// A place for so many bytes; none if the system has no more. A chunk is as large as all before
    /// it, so that little is mapped for little.
    pub fn place(&mut self, bytes: usize) -> Option<Place> {
        let room = |chunk: &Arc<MmapRaw>| chunk.len() - self.next >= bytes;
        let chunk = match self.chunk.take().filter(room) {
            Some(chunk) => chunk,
            None => {
                let wanted = bytes.max(self.mapped.min(CHUNK));
                let large = if wanted < LARGE { ALIGNED } else { LARGE };
                // One more, to begin where one begins.
                let map = MmapMut::map_anon(wanted.next_multiple_of(large) + large).ok()?;
                #[cfg(target_os = "linux")]
                if wanted >= LARGE {
                    // Nothing is lost where it is refused.
                    let _ = map.advise(memmap2::Advice::HugePage);
                }
                let start = map.as_ptr().addr();
                self.next = start.next_multiple_of(large) - start;
                self.mapped += wanted;
                Arc::new(MmapRaw::from(map))
            }
        };
        let range = self.next..self.next + bytes;
        self.next = range.end.next_multiple_of(ALIGNED).min(chunk.len());
        self.used += bytes;
        self.chunk = Some(chunk.clone());
        Some(Place { chunk, range })
    }

    /// Bytes of all places.
    pub fn used(&self) -> usize {
        self.used
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
