//! The bytes of every token: the whole of decoding. Knows ids, not where they came
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

/// So many bytes of a piece stand beside what is known of it; o200k has one longer piece in thirty.
const INLINE: usize = 15;

/// A piece is shorter than this.
const MOST_BYTES: usize = 1 << 24;

/// The pieces of so many ids are put together before they are moved to where they belong.
const TOGETHER: usize = 128;

/// So many entries are on their way from memory at once.
const AHEAD: usize = 32;

/// What a text has for each id, about; there is no harm in another number.
const USUAL_BYTES: usize = 4;

/// All that decoding asks of a piece, a quarter of a cache line, so that it waits for memory once:
/// the bytes themselves or, of a long piece, where they are and how many. The last byte is the
/// length of an ordinary short piece; higher bits say what is particular about any other.
#[derive(Debug, Clone, Copy)]
#[repr(align(16))]
struct Entry([u8; INLINE + 1]);

const LONG: u8 = 1 << 4;
const KIND_SHIFT: u32 = 5;

impl Entry {
    fn new(kind: TokenType, inline: &[u8], flags: u8) -> Self {
        let mut entry = [0; INLINE + 1];
        entry[..inline.len()].copy_from_slice(inline);
        entry[INLINE] = (kind as u8 - TokenType::Normal as u8) << KIND_SHIFT | flags;
        Entry(entry)
    }

    fn short(kind: TokenType, piece: &[u8]) -> Self {
        Entry::new(kind, piece, piece.len() as u8)
    }

    fn long(kind: TokenType, start: u32, length: u32) -> Self {
        let place = u64::from(start) | u64::from(length) << 32;
        Entry::new(kind, &place.to_le_bytes(), LONG)
    }

    /// The length of a short piece of learned text.
    #[inline(always)]
    fn ordinary(&self) -> Option<usize> {
        let last = usize::from(self.0[INLINE]);
        (last <= INLINE).then_some(last)
    }

    #[inline]
    fn bytes<'p>(&'p self, block: &'p [u8]) -> &'p [u8] {
        let last = self.0[INLINE];
        if last & LONG == 0 {
            return &self.0[..usize::from(last) % LONG as usize];
        }
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        let start = u32::from_le_bytes([a, b, c, d]) as usize;
        let length = u32::from_le_bytes([e, f, g, h]) as usize;
        block.get(start..start + length).unwrap_or_default()
    }

    #[inline]
    fn kind(&self) -> TokenType {
        let number = i32::from(self.0[INLINE] >> KIND_SHIFT) + TokenType::Normal as i32;
        TokenType::from_number(number).unwrap_or(TokenType::Normal)
    }
}

/// The bytes of every token.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    entries: Vec<Entry>,
    /// The long pieces, one after another.
    block: Vec<u8>,
}

impl Pieces {
    /// An empty set with room for `count` pieces.
    pub(crate) fn with_capacity(count: usize) -> Self {
        Pieces { entries: roomy(count), block: Vec::new() }
    }

    /// Appends the next id's piece, written by `write`.
    #[inline]
    pub(crate) fn push(&mut self, kind: TokenType, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let start = self.block.len();
        write(&mut self.block);
        let piece = &self.block[start..];
        if piece.len() <= INLINE {
            self.entries.push(Entry::short(kind, piece));
            self.block.truncate(start);
            return Ok(());
        }
        let length = piece.len();
        let (Ok(start), true) = (u32::try_from(start), length < MOST_BYTES) else {
            let detail = format!(
                "token {} has {length} bytes of text behind {start} of others; we read tokens \
                 below {MOST_BYTES} bytes, and 4 GiB of all",
                self.len()
            );
            return Err(Error::refused(Class::BadVocab, "tokenizer.ggml.tokens", detail));
        };
        self.entries.push(Entry::long(kind, start, length as u32));
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The bytes of a piece.
    #[inline]
    pub(crate) fn get(&self, id: u32) -> Option<&[u8]> {
        self.entries.get(id as usize).map(|entry| entry.bytes(&self.block))
    }

    /// Its type.
    #[inline]
    pub(crate) fn kind(&self, id: u32) -> Option<TokenType> {
        self.entries.get(id as usize).map(Entry::kind)
    }

    /// The pieces of `ids` one after another, without those that `skip` names.
    pub(crate) fn decode(&self, ids: &[u32], skip: impl Fn(TokenType) -> bool) -> Result<Vec<u8>> {
        let mut bytes = roomy(ids.len() * USUAL_BYTES);
        // A copy of known size is two moves; what it writes too much is written again.
        let mut buffer = [0; TOGETHER * (INLINE + 1)];
        let mut ahead = ids.iter().skip(AHEAD);
        for ids in ids.chunks(TOGETHER) {
            let mut at = 0;
            for &id in ids {
                prefetch(&self.entries, ahead.next().copied().unwrap_or_default() as usize);
                let entry = self.entries.get(id as usize).ok_or_else(|| self.unknown(id))?;
                if let Some(length) = entry.ordinary() {
                    buffer[at..at + INLINE + 1].copy_from_slice(&entry.0);
                    at += length;
                } else if !skip(entry.kind()) {
                    bytes.extend_from_slice(&buffer[..at]);
                    bytes.extend_from_slice(entry.bytes(&self.block));
                    at = 0;
                }
            }
            bytes.extend_from_slice(&buffer[..at]);
        }
        Ok(bytes)
    }

    /// The error for an id that is not in the vocabulary.
    pub(crate) fn unknown(&self, id: u32) -> Error {
        Error::Usage(format!("token id {id} is not in the vocabulary of {} tokens", self.len()))
    }
}
