//! Rows of f32 on the device and the memory they come from: a buffer that is let go of is used
//! again, since a pass makes the same few hundred of them for every batch. All work is queued on
//! one stream, so a buffer's next user comes after its last.

use super::context::Context;
use super::memory::{Buffer, Owner};
use super::module::Argument;
use super::ops::Rounded;
use super::staging::Staging;
use super::stream::Stream;
use crate::error::{Error, Result};
use std::cell::OnceCell;
use std::sync::{Arc, Mutex};

/// Bytes on either side of a poisoned piece that no kernel may touch.
const GUARD: usize = 256;

/// What poisoned memory is filled with: as an f32 it is NaN.
const POISON: u8 = 0xff;

/// Buffers that nobody uses at the moment.
#[derive(Clone)]
pub(super) struct Scratch {
    stream: Arc<Stream>,
    free: Arc<Mutex<Vec<Buffer>>>,
    staging: Arc<Staging>,
    poison: bool,
}

/// A piece of device memory for the length of a few verbs.
pub struct Piece {
    /// Taken out only when it is given back.
    buffer: Option<Buffer>,
    address: u64,
    bytes: usize,
    scratch: Scratch,
}

/// Rows of one width.
pub struct Rows {
    pub(super) piece: Piece,
    count: usize,
    width: usize,
    /// The same in 16 bits, once a product has asked; gone when the rows change.
    pub(super) rounded: OnceCell<Rounded>,
}

impl Scratch {
    /// Memory whose kernels run on `stream`. Poisoned: every piece is new, full of NaN, and lies
    /// between guards.
    pub(super) fn new(stream: &Arc<Stream>, poison: bool) -> Scratch {
        let staging = Arc::new(Staging::new(stream));
        Scratch { stream: stream.clone(), free: Arc::default(), staging, poison }
    }

    /// `bytes` bytes. What is in them is not defined.
    pub(super) fn piece(&self, bytes: usize) -> Result<Piece> {
        let guard = if self.poison { GUARD } else { 0 };
        let buffer = self.buffer(bytes + 2 * guard)?;
        if self.poison {
            self.stream.fill(&buffer, POISON)?;
        }
        let address = buffer.address() + guard as u64;
        Ok(Piece { buffer: Some(buffer), address, bytes, scratch: self.clone() })
    }

    /// `count` rows of `width`.
    pub(super) fn rows(&self, count: usize, width: usize) -> Result<Rows> {
        let piece = self.piece(4 * count * width)?;
        Ok(Rows { piece, count, width, rounded: OnceCell::new() })
    }

    fn buffer(&self, bytes: usize) -> Result<Buffer> {
        let context = self.stream.context();
        if let Some(buffer) = self.fitting(bytes) {
            return Ok(buffer);
        }
        let ask = || Buffer::new(context, Owner::Scratch, "rows", bytes);
        match ask() {
            // What is kept for later may be what is missing now.
            Err(Error::DeviceMemory { .. }) if self.let_go()? => ask(),
            other => other,
        }
    }

    fn fitting(&self, bytes: usize) -> Option<Buffer> {
        let mut free = self.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let fits = free.iter().enumerate().filter(|(_, buffer)| buffer.bytes() >= bytes);
        let (at, _) = fits.min_by_key(|(_, buffer)| buffer.bytes())?;
        Some(free.swap_remove(at))
    }

    /// Frees what nobody uses; whether there was anything.
    fn let_go(&self) -> Result<bool> {
        self.stream.synchronize()?;
        let mut free = self.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let any = !free.is_empty();
        free.clear();
        Ok(any)
    }
}

impl Piece {
    /// Copies all of it to the host. If it is poisoned, its guards are looked at too.
    pub(super) fn read(&self, to: &mut [u8]) -> Result<()> {
        let Some(buffer) = &self.buffer else { return Ok(()) };
        let start = (self.address - buffer.address()) as usize;
        self.scratch.stream.download(buffer, start, &mut to[..self.bytes])?;
        if self.scratch.poison {
            let mut guards = vec![0u8; 2 * GUARD];
            let (before, after) = guards.split_at_mut(GUARD);
            self.scratch.stream.download(buffer, 0, before)?;
            self.scratch.stream.download(buffer, GUARD + self.bytes, after)?;
            if let Some(at) = guards.iter().position(|byte| *byte != POISON) {
                let side = if at < GUARD { "before" } else { "after" };
                let why = format!("{} bytes were written {side} the end of a row", self.bytes);
                return Err(Error::kernel("scratch", why));
            }
        }
        Ok(())
    }

    /// Copies from the host.
    pub(super) fn write(&self, from: &[u8]) -> Result<()> {
        let Some(buffer) = &self.buffer else { return Ok(()) };
        let start = (self.address - buffer.address()) as usize;
        self.scratch.stream.upload(from, buffer, start)
    }

    /// Copies from the host, and returns before the device has come that far.
    pub(super) fn write_later(&self, from: &[u8]) -> Result<()> {
        let Some(buffer) = &self.buffer else { return Ok(()) };
        let start = (self.address - buffer.address()) as usize;
        self.scratch.staging.upload(from, buffer, start)
    }

    /// Copies `bytes` bytes from `at` to `to_at` of another piece.
    pub(super) fn copy(&self, at: usize, to: &Piece, to_at: usize, bytes: usize) -> Result<()> {
        let (Some(from), Some(into)) = (&self.buffer, &to.buffer) else { return Ok(()) };
        let start = (self.address - from.address()) as usize + at;
        let to_start = (to.address - into.address()) as usize + to_at;
        self.scratch.stream.copy(from, start, into, to_start, bytes)
    }

    /// Where byte `at` of it is.
    pub(super) fn at(&self, at: usize) -> u64 {
        self.address + at as u64
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // A poisoned piece is never used twice, so that its guards mean what they say.
        let Some(buffer) = self.buffer.take().filter(|_| !self.scratch.poison) else { return };
        let free = &self.scratch.free;
        free.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(buffer);
    }
}

impl Rows {
    /// The same, which a kernel has rounded too.
    pub(super) fn with(self, rounded: Option<Rounded>) -> Rows {
        Rows { rounded: rounded.map_or_else(OnceCell::new, OnceCell::from), ..self }
    }

    /// Elements of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Where the first starts, as kernels see it.
    pub(super) fn address(&self) -> u64 {
        self.piece.address
    }

    /// Where row `row` starts.
    pub(super) fn row_address(&self, row: usize) -> u64 {
        self.piece.at(4 * self.width * row)
    }

    /// Copies row `from` to row `to_row` of rows of the same width.
    pub(super) fn copy_row(&self, from: usize, to: &Rows, to_row: usize) -> Result<()> {
        let bytes = 4 * self.width;
        self.piece.copy(bytes * from, &to.piece, bytes * to_row, bytes)
    }

    /// How many rows.
    pub fn count(&self) -> usize {
        self.count
    }

    /// All elements.
    pub(super) fn elements(&self) -> usize {
        self.count * self.width
    }
}

impl Argument for &Piece {
    fn bits(&self) -> u64 {
        self.address
    }
}

impl Argument for &Rows {
    fn bits(&self) -> u64 {
        self.piece.address
    }
}

/// Nothing is passed as a null pointer.
impl<T> Argument for Option<&T>
where
    for<'a> &'a T: Argument,
{
    fn bits(&self) -> u64 {
        self.as_ref().map_or(0, |some| (*some).bits())
    }
}

/// A context's stream is what scratch hands out memory for.
impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let device: &Arc<Context> = self.stream.context();
        write!(f, "scratch of cuda:{}", device.device().ordinal)
    }
}
