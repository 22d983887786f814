//! What is asked of memory beyond being there. A table of pairs or of words is larger than the
//! caches that are near, so it matters that a cache line is on its way early, and that few pages
//! hold the table: a processor waits for a page's address even when it is told to fetch early.
//! Knows no table.

/// Begins to load `items[index]`; nothing happens where there is no such item or no such
/// instruction.
#[inline(always)]
pub(super) fn prefetch<T>(items: &[T], index: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let item = items.as_ptr().wrapping_add(index);
        // SAFETY: a hint that every x86-64 processor has; it reads nothing into the program, and
        // no address is wrong for it.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(item.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (items, index);
}

/// An empty vector with room for `count` items, in large pages where it is large and the system
/// has such pages for those who ask.
pub(super) fn roomy<T>(count: usize) -> Vec<T> {
    let items = Vec::with_capacity(count);
    #[cfg(target_os = "linux")]
    ask_for_large_pages(&items);
    items
}

/// So many times `item`, in such a vector.
pub(super) fn table<T: Clone>(item: T, count: usize) -> Vec<T> {
    let mut items = roomy(count);
    items.resize(count, item);
    items
}

#[cfg(target_os = "linux")]
fn ask_for_large_pages<T>(items: &Vec<T>) {
    const LARGE: usize = 2 << 20;
    const PAGE: usize = 4096;
    let bytes = items.capacity() * size_of::<T>();
    if bytes < LARGE {
        return;
    }
    let start = items.as_ptr().addr().next_multiple_of(PAGE) - items.as_ptr().addr();
    let length = (bytes - start) / PAGE * PAGE;
    // SAFETY: the range is within the vector's own allocation, and the advice changes by how large
    // pieces it is backed, never what is in it. Nothing is lost where it is refused.
    unsafe {
        let first = items.as_ptr().cast::<u8>().add(start);
        libc::madvise(first.cast_mut().cast(), length, libc::MADV_HUGEPAGE);
    }
}
