//! The bytes of every token, in one block: the whole of decoding. Knows ids, not where they came
//! from.

use crate::error::{Class, Error, Result};

/// What a token is for. The numbers are those of `tokenizer.ggml.token_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// The bytes of every token.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    block: Vec<u8>,
    /// `ends[id]` is where piece `id` starts, `ends[id + 1]` where it ends.
    ends: Vec<u32>,
    types: Vec<TokenType>,
}

impl Pieces {
    /// An empty set with room for `count` pieces.
    pub(crate) fn with_capacity(count: usize) -> Self {
        let mut ends = Vec::with_capacity(count + 1);
        ends.push(0);
        Pieces {
            block: Vec::with_capacity(count * 8 + CHUNK),
            ends,
            types: Vec::with_capacity(count),
        }
    }

    /// Appends the next id's piece, written by `write`.
    pub(crate) fn push(&mut self, kind: TokenType, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        write(&mut self.block);
        let end = u32::try_from(self.block.len()).map_err(|_| {
            let detail = format!("token {} ends beyond 4 GiB of text", self.types.len());
            Error::refused(Class::BadVocab, "tokenizer.ggml.tokens", detail)
        })?;
        self.ends.push(end);
        self.types.push(kind);
        Ok(())
    }

    /// To be called after the last `push`.
    pub(crate) fn seal(&mut self) {
        self.block.resize(self.block.len() + CHUNK, 0);
    }

    pub(crate) fn len(&self) -> usize {
        self.types.len()
    }

    /// The bytes of a piece.
    #[inline]
    pub(crate) fn get(&self, id: u32) -> Option<&[u8]> {
        let start = *self.ends.get(id as usize)?;
        let end = *self.ends.get(id as usize + 1)?;
        self.block.get(start as usize..end as usize)
    }

    /// Its type.
    #[inline]
    pub(crate) fn kind(&self, id: u32) -> Option<TokenType> {
        self.types.get(id as usize).copied()
    }

    /// Appends the pieces of `ids`, leaving out those that `skip` names.
    pub(crate) fn decode(
        &self,
        ids: &[u32],
        skip: impl Fn(TokenType) -> bool,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let place = |id: u32| -> Result<(usize, usize)> {
            let index = id as usize;
            let (Some(&start), Some(&end)) = (self.ends.get(index), self.ends.get(index + 1))
            else {
                return Err(self.unknown(id));
            };
            match skip(self.types[index]) {
                true => Ok((0, 0)),
                false => Ok((start as usize, (end - start) as usize)),
            }
        };
        // Measured before it is written: a buffer that grows is written twice.
        let mut length = 0;
        for &id in ids {
            length += place(id)?.1;
        }
        out.reserve(length + CHUNK);
        for &id in ids {
            let (start, length) = place(id)?;
            let end = out.len() + length;
            if length <= CHUNK {
                // A copy of known size is two moves.
                out.extend_from_slice(&self.block[start..start + CHUNK]);
                out.truncate(end);
            } else {
                out.extend_from_slice(&self.block[start..start + length]);
            }
        }
        Ok(())
    }

    /// The error for an id that is not in the vocabulary.
    pub(crate) fn unknown(&self, id: u32) -> Error {
        Error::Usage(format!("token id {id} is not in the vocabulary of {} tokens", self.len()))
    }
}
