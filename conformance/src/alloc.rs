//! Counts what a thread allocates, so that a case can bound the memory that an input makes us
//! spend. Counters belong to a thread: cases that run beside each other don't disturb each other.
//! Knows sizes, not owners; a block freed by another thread is counted there.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// What `measure` saw on its thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heap {
    /// The most bytes that were allocated at once, above what stood before.
    pub peak_bytes: usize,
    /// The largest single request.
    pub largest_bytes: usize,
    /// Bytes that were still allocated at the end, above what stood before.
    pub kept_bytes: isize,
}

#[derive(Clone, Copy)]
struct Counters {
    live: isize,
    peak: isize,
    largest: usize,
}

const ZERO: Counters = Counters { live: 0, peak: 0, largest: 0 };

thread_local! {
    // Constant initialisation and no destructor: the allocator may touch it at any time.
    static COUNTERS: Cell<Counters> = const { Cell::new(ZERO) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `work` and says what it did to this thread's heap.
pub fn measure<T>(work: impl FnOnce() -> T) -> (T, Heap) {
    let outer = COUNTERS.replace(ZERO);
    let result = work();
    let inner = COUNTERS.get();
    COUNTERS.set(Counters {
        live: outer.live + inner.live,
        peak: outer.peak.max(outer.live + inner.peak),
        largest: outer.largest.max(inner.largest),
    });
    let heap = Heap {
        peak_bytes: inner.peak.unsigned_abs(),
        largest_bytes: inner.largest,
        kept_bytes: inner.live,
    };
    (result, heap)
}

fn count(grown: isize, requested: usize) {
    COUNTERS.with(|counters| {
        let mut now = counters.get();
        now.live += grown;
        now.peak = now.peak.max(now.live);
        now.largest = now.largest.max(requested);
        counters.set(now);
    });
}

// SAFETY: every call goes to `System` unchanged; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    // SAFETY: the caller's promise is `System`'s. A refused request counts: asking is the defect.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize, layout.size());
        // SAFETY: as promised to us.
        unsafe { System.alloc(layout) }
    }

    // SAFETY: the caller's promise is `System`'s.
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize, layout.size());
        // SAFETY: as promised to us.
        unsafe { System.alloc_zeroed(layout) }
    }

    // SAFETY: the caller's promise is `System`'s.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize, size);
        // SAFETY: as promised to us.
        unsafe { System.realloc(block, layout, size) }
    }

    // SAFETY: the caller's promise is `System`'s.
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-(layout.size() as isize), 0);
        // SAFETY: as promised to us.
        unsafe { System.dealloc(block, layout) }
    }
}
