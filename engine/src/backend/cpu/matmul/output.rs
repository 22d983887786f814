//! The output buffer, written by many threads at places that do not overlap.

use std::marker::PhantomData;

/// A mutable slice that threads may write at different places at the same time.
pub(in crate::backend::cpu) struct Output<'o, T = f32> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'o mut [T]>,
}

// SAFETY: the slice is borrowed mutably for as long as this lives, and `write` demands that no two
// threads write the same place.
unsafe impl<T: Send> Sync for Output<'_, T> {}

impl<'o, T: Copy> Output<'o, T> {
    pub(in crate::backend::cpu) fn new(out: &'o mut [T]) -> Self {
        Output { start: out.as_mut_ptr(), len: out.len(), slice: PhantomData }
    }

    /// Asks for the memory of `len` places from `at` on, which are soon written: a store that
    /// finds nothing in the caches waits as long as a load.
    pub(in crate::backend::cpu) fn fetch(&self, at: usize, len: usize) {
        #[cfg(target_arch = "x86_64")]
        for line in (0..len * size_of::<T>()).step_by(64) {
            use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
            let place = self.start.wrapping_add(at).cast::<i8>().wrapping_add(line);
            // SAFETY: asking for memory has no other effect, whatever the address.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(place) };
        }
    }

    /// Copies `values` to `at` and after it.
    ///
    /// # Safety
    /// No other thread may write any of these places during the same dispatch.
    #[inline(always)] // so that copying an array is an instruction or two
    pub(in crate::backend::cpu) unsafe fn write(&self, at: usize, values: &[T]) {
        assert!(at <= self.len && values.len() <= self.len - at, "an output row out of bounds");
        // SAFETY: in bounds by the line above; nobody else writes here, as the caller vouches.
        unsafe { self.start.add(at).copy_from_nonoverlapping(values.as_ptr(), values.len()) };
    }

    /// `len` places from `at` on, to be written.
    ///
    /// # Safety
    /// No other thread, and no other part, has any of these places during the same dispatch.
    pub(in crate::backend::cpu) unsafe fn part(&self, at: usize, len: usize) -> &'o mut [T] {
        assert!(at <= self.len && len <= self.len - at, "a part out of bounds");
        // SAFETY: in bounds by the line above; nobody else has it, as the caller vouches.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(at), len) }
    }
}
