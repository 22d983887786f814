//! The bytes of every token, in one block: the whole of decoding. Knows ids, not where they came
//! from.

use super::memory::{prefetch, roomy};
use crate::error::{Class, Error, Result};

/// What a token is for. The numbers are those of `tokenizer.ggml.token_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TokenType {
    /// Ordinary text.
    Normal = 1,
    /// Stands for what the vocabulary cannot write.
    Unknown = 2,
    /// Structure, never text: `<|start|>`, `</s>`.
    Control = 3,
    /// Text added by hand, cut out before everything else.
    UserDefined = 4,
    /// A filler; no text ever becomes it.
    Unused = 5,
    /// One byte, `<0x0A>`.
    Byte = 6,
}

impl TokenType {
    /// From a file's number.
    pub fn from_number(number: i32) -> Option<Self> {
        use TokenType::{Byte, Control, Normal, Unknown, Unused, UserDefined};
        [Normal, Unknown, Control, UserDefined, Unused, Byte]
            .into_iter()
            .find(|kind| *kind as i32 == number)
    }

    /// Its name in kebab-case.
    pub fn name(self) -> &'static str {
        match self {
            TokenType::Normal => "normal",
            TokenType::Unknown => "unknown",
            TokenType::Control => "control",
            TokenType::UserDefined => "user-defined",
            TokenType::Unused => "unused",
            TokenType::Byte => "byte",
        }
    }
}

/// Short pieces are copied this many bytes at a time; the block ends with as many spare ones.
const CHUNK: usize = 16;

/// So many pieces are on their way from memory at once.
const TOGETHER: usize = 64;

/// What a text has for each id, about; there is no harm in another number.
const USUAL_BYTES: usize = 4;

/// Where a piece is in the block, how long it is, and what for: all that decoding asks of it, so
/// that it asks memory once.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: u32,
    length: [u8; 3],
    kind: TokenType,
}

/// A piece is shorter than this.
const MOST_BYTES: usize = 1 << 24;

impl Place {
    fn length(self) -> usize {
        let [low, middle, high] = self.length;
        u32::from_le_bytes([low, middle, high, 0]) as usize
    }
}

/// The bytes of every token.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    block: Vec<u8>,
    places: Vec<Place>,
}

impl Pieces {
    /// An empty set with room for `count` pieces.
    pub(crate) fn with_capacity(count: usize) -> Self {
        Pieces { block: Vec::with_capacity(count * 8 + CHUNK), places: Vec::with_capacity(count) }
    }

    /// Appends the next id's piece, written by `write`.
    pub(crate) fn push(&mut self, kind: TokenType, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let start = self.block.len();
        write(&mut self.block);
        let length = self.block.len() - start;
        let (Ok(start), true) = (u32::try_from(start), length < MOST_BYTES) else {
            let detail = format!(
                "token {} has {length} bytes of text behind {start} of others; we read tokens \
                 below {MOST_BYTES} bytes, and 4 GiB of all",
                self.len()
            );
            return Err(Error::refused(Class::BadVocab, "tokenizer.ggml.tokens", detail));
        };
        let [low, middle, high, _] = (length as u32).to_le_bytes();
        self.places.push(Place { start, length: [low, middle, high], kind });
        Ok(())
    }

    /// To be called after the last `push`.
    pub(crate) fn seal(&mut self) {
        self.block.resize(self.block.len() + CHUNK, 0);
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The bytes of a piece.
    #[inline]
    pub(crate) fn get(&self, id: u32) -> Option<&[u8]> {
        let place = self.places.get(id as usize)?;
        self.block.get(place.start as usize..place.start as usize + place.length())
    }

    /// Its type.
    #[inline]
    pub(crate) fn kind(&self, id: u32) -> Option<TokenType> {
        self.places.get(id as usize).map(|place| place.kind)
    }

    /// The pieces of `ids` one after another, without those that `skip` names.
    pub(crate) fn decode(&self, ids: &[u32], skip: impl Fn(TokenType) -> bool) -> Result<Vec<u8>> {
        let mut bytes = roomy(ids.len() * USUAL_BYTES + CHUNK);
        let mut asked = [(0, 0); TOGETHER];
        for ids in ids.chunks(TOGETHER) {
            let mut end = bytes.len();
            for (asked, &id) in asked.iter_mut().zip(ids) {
                let place = self.places.get(id as usize).ok_or_else(|| self.unknown(id))?;
                let length = if skip(place.kind) { 0 } else { place.length() };
                *asked = (place.start as usize, length);
                prefetch(&self.block, place.start as usize);
                end += length;
            }
            let mut at = bytes.len();
            bytes.resize(end + CHUNK, 0);
            for &(start, length) in &asked[..ids.len()] {
                if length <= CHUNK {
                    // A copy of known size is two moves; what it writes too much is written again.
                    bytes[at..at + CHUNK].copy_from_slice(&self.block[start..start + CHUNK]);
                } else {
                    bytes[at..at + length].copy_from_slice(&self.block[start..start + length]);
                }
                at += length;
            }
            bytes.truncate(end);
        }
        Ok(bytes)
    }

    /// The error for an id that is not in the vocabulary.
    pub(crate) fn unknown(&self, id: u32) -> Error {
        Error::Usage(format!("token id {id} is not in the vocabulary of {} tokens", self.len()))
    }
}
