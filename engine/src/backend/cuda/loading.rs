//! From a file to the device, through pinned memory that several threads fill: one thread takes
//! from the page cache a seventh of what the device can take. Reads instead of looking at the
//! mapping, whose pages would each have to be faulted in first. Knows files and bytes.

use super::memory::{Buffer, Pinned};
use super::stream::{Event, Stream};
use crate::error::{Error, Result};
use crate::loader::Gguf;
use crate::loader::gguf::TensorInfo;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a thread reads at a time.
const CHUNK: usize = 4 << 20;
/// Threads beyond which reading was not faster where it was measured.
const THREADS_MOST: usize = 8;
/// Tensors below this are copied as they are: starting threads would take longer.
const SMALL: usize = 1 << 20;

/// Pinned memory between files and a device.
pub(super) struct Loading {
    stream: Arc<Stream>,
    /// Pairs that no thread uses at the moment: one is filled while the other is on its way.
    pairs: Mutex<Vec<[Place; 2]>>,
}

struct Place {
    memory: Pinned,
    /// When what it holds has been read.
    read: Option<Event>,
}

impl Loading {
    /// Copies are queued on `stream`.
    pub(super) fn new(stream: &Arc<Stream>) -> Loading {
        Loading { stream: stream.clone(), pairs: Mutex::default() }
    }

    /// Queues the copy of a tensor's bytes, all of which have been read when this returns.
    pub(super) fn copy(&self, file: &Gguf, info: &TensorInfo, to: &Buffer) -> Result<()> {
        let bytes = to.bytes();
        self.stream.clear_rest(to)?;
        if bytes < SMALL {
            return self.stream.upload(file.view(info).data, to, 0);
        }
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let threads = bytes.div_ceil(CHUNK).min(cores).min(THREADS_MOST);
        let next = AtomicUsize::new(0);
        let work = || {
            self.chunks(file, info, to, &next).inspect_err(|_| {
                // The others need not go on.
                next.store(bytes, Ordering::Relaxed);
            })
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let died = |_| Error::kernel("loading", "its thread died");
            threads.into_iter().try_for_each(|thread| thread.join().map_err(died)?)
        })
    }

    /// Chunks, until there is none left.
    fn chunks(
        &self,
        file: &Gguf,
        info: &TensorInfo,
        to: &Buffer,
        next: &AtomicUsize,
    ) -> Result<()> {
        let kept = self.pairs.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut pair = match kept {
            Some(pair) => pair,
            None => [self.place()?, self.place()?],
        };
        let filled = self.fill(&mut pair, file, info, to, next);
        // Back even after a failure: a copy of what it holds may be under way.
        self.pairs.lock().unwrap_or_else(PoisonError::into_inner).push(pair);
        filled
    }

    fn fill(
        &self,
        pair: &mut [Place; 2],
        file: &Gguf,
        info: &TensorInfo,
        to: &Buffer,
        next: &AtomicUsize,
    ) -> Result<()> {
        let start = info.file_range().start;
        let part = file.parts().get(info.part as usize);
        let part = part.ok_or_else(|| Error::kernel("loading", "a tensor of no file"))?;
        for turn in 0.. {
            let at = next.fetch_add(CHUNK, Ordering::Relaxed);
            if at >= to.bytes() {
                break;
            }
            let place = &mut pair[turn % 2];
            if let Some(read) = place.read.take() {
                read.wait()?;
            }
            let count = CHUNK.min(to.bytes() - at);
            part.read_at(start + at as u64, &mut place.memory.as_mut_slice()[..count])?;
            self.stream.queue_upload(&place.memory, count, to, at)?;
            place.read = Some(Event::record(&self.stream)?);
        }
        Ok(())
    }

    fn place(&self) -> Result<Place> {
        Ok(Place { memory: Pinned::new(self.stream.context(), CHUNK)?, read: None })
    }

    /// Frees the pinned memory.
    pub(super) fn let_go(&self) -> Result<()> {
        self.stream.synchronize()?;
        self.pairs.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        // A copy under way must not find its source gone.
        let _ = self.let_go();
    }
}
