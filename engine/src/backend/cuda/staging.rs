//! Small copies to the device that nobody waits for: bytes go to pinned memory first, which is used
//! again once the device has read it. Knows bytes.

use super::memory::{Buffer, Pinned};
use super::stream::{Event, Stream};
use crate::error::Result;
use std::sync::{Arc, Mutex, PoisonError};

/// Copies that may be under way at a time.
const PLACES: usize = 16;
/// What a place holds at least: the step of a generated row, many times over.
const PLACE_BYTES: usize = 16 << 10;
/// Beyond this a copy takes so long that waiting for it is nothing, and pinned memory is scarce.
const MOST: usize = 1 << 20;

/// Places in pinned memory, used in turn.
pub(super) struct Staging {
    stream: Arc<Stream>,
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    places: Vec<Place>,
    next: usize,
}

struct Place {
    memory: Pinned,
    /// When what it holds has been read.
    read: Option<Event>,
}

impl Staging {
    pub(super) fn new(stream: &Arc<Stream>) -> Staging {
        Staging { stream: stream.clone(), ring: Mutex::default() }
    }

    /// Queues a copy of `from` to `at` in `to`.
    pub(super) fn upload(&self, from: &[u8], to: &Buffer, at: usize) -> Result<()> {
        if from.len() > MOST {
            return self.stream.upload(from, to, at);
        }
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let place = ring.place(&self.stream, from.len())?;
        place.memory.as_mut_slice()[..from.len()].copy_from_slice(from);
        self.stream.queue_upload(&place.memory, from.len(), to, at)?;
        place.read = Some(Event::record(&self.stream)?);
        Ok(())
    }
}

impl Ring {
    /// The next place, free and large enough.
    fn place(&mut self, stream: &Stream, bytes: usize) -> Result<&mut Place> {
        let (at, room) = (self.next, bytes.next_multiple_of(PLACE_BYTES));
        self.next = (self.next + 1) % PLACES;
        if at == self.places.len() {
            let memory = Pinned::new(stream.context(), room)?;
            self.places.push(Place { memory, read: None });
        }
        let place = &mut self.places[at];
        if let Some(read) = place.read.take() {
            read.wait()?;
        }
        if place.memory.as_slice().len() < bytes {
            place.memory = Pinned::new(stream.context(), room)?;
        }
        Ok(place)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // A copy under way must not find its source gone.
        let _ = self.stream.synchronize();
    }
}
