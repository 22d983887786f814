//! Reads little-endian values from the head of a file. Knows where it is and how to say so; every
//! read is checked against what is left.

use crate::error::{Class, Error, Result};
use std::fmt::Display;

/// ggml's own limit for one string, and ours (`GGUF_MAX_STRING_LENGTH`).
pub(super) const MAX_STRING: u64 = 1 << 30;

/// A position in the bytes of a file's head.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// What a cursor can read as a plain value.
pub(super) trait Number: Copy {
    /// Bytes in the file.
    const BYTES: usize;
    /// From exactly [`Number::BYTES`] bytes, little-endian.
    fn from_le(bytes: &[u8]) -> Self;
    /// Appends its little-endian bytes.
    fn put_le(self, out: &mut Vec<u8>);
}

macro_rules! numbers {
    ($($number:ident)*) => {$(
        impl Number for $number {
            const BYTES: usize = size_of::<$number>();
            fn from_le(bytes: &[u8]) -> Self {
                let mut exact = [0; size_of::<$number>()];
                exact.copy_from_slice(bytes);
                $number::from_le_bytes(exact)
            }
            fn put_le(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}
numbers!(u8 i8 u16 i16 u32 i32 u64 i64 f32 f64);

impl<'a> Cursor<'a> {
    /// Starts at byte 0.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Cursor { bytes, at: 0 }
    }

    /// The byte that is read next.
    pub(super) fn at(&self) -> u64 {
        self.at as u64
    }

    /// How many bytes follow.
    pub(super) fn left(&self) -> u64 {
        (self.bytes.len() - self.at) as u64
    }

    /// A refusal of `what`, which starts at byte `at`.
    pub(super) fn refuse(
        &self,
        class: Class,
        what: &dyn Display,
        at: u64,
        detail: String,
    ) -> Error {
        Error::refused(class, format!("{what} at byte {at}"), detail)
    }

    /// The next `count` bytes.
    #[inline]
    pub(super) fn take(&mut self, count: u64, what: &dyn Display) -> Result<&'a [u8]> {
        if count > self.left() {
            return Err(self.truncated(count, what));
        }
        let start = self.at;
        self.at += count as usize;
        Ok(&self.bytes[start..self.at])
    }

    /// The next number.
    #[inline]
    pub(super) fn number<N: Number>(&mut self, what: &dyn Display) -> Result<N> {
        self.take(N::BYTES as u64, what).map(N::from_le)
    }

    /// A length and that many bytes. A length that no file of this size could hold is a bad length
    /// (`StringTooLong`); one that merely runs past the end is a cut file (`Truncated`).
    #[inline]
    pub(super) fn string(&mut self, what: &dyn Display) -> Result<&'a [u8]> {
        let at = self.at();
        let length: u64 = self.number(what)?;
        self.bounded(length, at, what)?;
        self.take(length, what)
    }

    /// Refuses a string length that this file or any file cannot have.
    #[inline]
    pub(super) fn bounded(&self, length: u64, at: u64, what: &dyn Display) -> Result<()> {
        let limit = MAX_STRING.min(self.bytes.len() as u64);
        if length > limit {
            let size = self.bytes.len();
            let detail = format!(
                "length {length} ({length:#x}), but the file has {size} bytes \
                 and a string may have {MAX_STRING}"
            );
            return Err(self.refuse(Class::StringTooLong, what, at, detail));
        }
        Ok(())
    }

    fn truncated(&self, count: u64, what: &dyn Display) -> Error {
        let (left, size) = (self.left(), self.bytes.len());
        let detail = format!("needs {count} bytes, but {left} are left of {size}");
        self.refuse(Class::Truncated, what, self.at(), detail)
    }
}
