//! Asks for a cache line before it is needed. A table of words is larger than the caches that are
//! near, and a text says early which of its places come next. Knows no table.

/// Begins to load `items[index]`; nothing happens where there is no such item or no such
/// instruction.
#[inline(always)]
pub(crate) fn prefetch<T>(items: &[T], index: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(item) = items.get(index) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint that every x86-64 processor has; it reads nothing into the program, and
        // the address is that of an item.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(item).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (items, index);
}
