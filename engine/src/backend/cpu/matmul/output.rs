//! The output buffer, written by many threads at places that do not overlap.

use std::marker::PhantomData;

/// A mutable slice that threads may write at different places at the same time.
pub(super) struct Output<'o, T = f32> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'o mut [T]>,
}

// SAFETY: the slice is borrowed mutably for as long as this lives, and `write` demands that no two
// threads write the same place.
unsafe impl<T: Send> Sync for Output<'_, T> {}

impl<'o, T: Copy> Output<'o, T> {
    pub(super) fn new(out: &'o mut [T]) -> Self {
        Output { start: out.as_mut_ptr(), len: out.len(), slice: PhantomData }
    }

    /// Copies `values` to `at` and after it.
    ///
    /// # Safety
    /// No other thread may write any of these places during the same dispatch.
    #[inline(always)] // so that copying an array is an instruction or two
    pub(super) unsafe fn write(&self, at: usize, values: &[T]) {
        assert!(at <= self.len && values.len() <= self.len - at, "an output row out of bounds");
        // SAFETY: in bounds by the line above; nobody else writes here, as the caller vouches.
        unsafe { self.start.add(at).copy_from_nonoverlapping(values.as_ptr(), values.len()) };
    }

    /// `len` places from `at` on, to be written.
    ///
    /// # Safety
    /// No other thread, and no other part, has any of these places during the same dispatch.
    pub(super) unsafe fn part(&self, at: usize, len: usize) -> &'o mut [T] {
        assert!(at <= self.len && len <= self.len - at, "a part out of bounds");
        // SAFETY: in bounds by the line above; nobody else has it, as the caller vouches.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(at), len) }
    }
}
