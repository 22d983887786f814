//! Rows of f32 and the memory they come from: a buffer that is let go of is used again, because a
//! pass makes the same few hundred of them for every batch.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

/// Buffers that nobody uses at the moment.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    free: Rc<RefCell<Vec<Vec<f32>>>>,
    poison: bool,
}

impl Scratch {
    /// Fills every buffer with NaN before it is handed out.
    pub fn poisoned() -> Self {
        Scratch { poison: true, ..Scratch::default() }
    }

    /// `count` rows of `width`. What is in them is not defined.
    pub fn rows(&self, count: usize, width: usize) -> Rows {
        let length = count * width;
        let mut free = self.free.borrow_mut();
        let fitting = free.iter().position(|buffer| buffer.capacity() >= length);
        let mut values = fitting.map(|at| free.swap_remove(at)).unwrap_or_default();
        drop(free);
        if self.poison {
            values.clear();
        }
        values.resize(length, f32::NAN);
        Rows { values, width, scratch: self.clone() }
    }
}

/// Rows of one width.
#[derive(Debug)]
pub struct Rows {
    values: Vec<f32>,
    width: usize,
    scratch: Scratch,
}

impl Rows {
    /// Elements of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// How many rows.
    pub fn count(&self) -> usize {
        self.values.len() / self.width
    }
}

impl Deref for Rows {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.values
    }
}

impl DerefMut for Rows {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.scratch.free.borrow_mut().push(std::mem::take(&mut self.values));
    }
}
