//! A SentencePiece model file (`tokenizer.model`): Protocol Buffers, of which only pieces and two
//! settings matter here. Reads fields by number and skips what it does not know; merges nothing.

use super::pieces::TokenType;
use crate::error::{Class, Error, Result};

/// A piece of the vocabulary; its place is its id.
#[derive(Debug, Clone, PartialEq)]
pub struct SpmPiece {
    /// With `▁` for a space.
    pub text: Vec<u8>,
    /// The higher, the sooner it is joined.
    pub score: f32,
    /// What it is for; the numbers are GGUF's.
    pub kind: TokenType,
}

/// What the file says.
#[derive(Debug, Clone, PartialEq)]
pub struct SpmFile {
    /// All pieces by id.
    pub pieces: Vec<SpmPiece>,
    /// Whether a text starts with a space that nobody wrote.
    pub add_dummy_prefix: bool,
}

/// `trainer_spec.model_type` of byte pair encoding.
const BPE: u64 = 2;

impl SpmFile {
    /// Reads the bytes of a file.
    pub fn read(bytes: &[u8]) -> Result<SpmFile> {
        let mut file = SpmFile { pieces: Vec::new(), add_dummy_prefix: true };
        let mut kind = 1;
        let mut fields = Fields { bytes, at: 0 };
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (1, Field::Bytes(piece)) => file.pieces.push(read_piece(piece)?),
                (2, Field::Bytes(trainer)) => kind = varint_of(trainer, 3)?.unwrap_or(kind),
                (3, Field::Bytes(normaliser)) => {
                    file.add_dummy_prefix = varint_of(normaliser, 3)?.is_none_or(|on| on != 0);
                }
                _ => {}
            }
        }
        if kind != BPE {
            let detail = format!("model type {kind}; only byte pair encoding ({BPE}) is read");
            return Err(refused(detail));
        }
        if file.pieces.is_empty() {
            return Err(refused("no pieces".into()));
        }
        Ok(file)
    }
}

fn refused(detail: String) -> Error {
    Error::refused(Class::BadVocab, "tokenizer.model", detail)
}

fn read_piece(bytes: &[u8]) -> Result<SpmPiece> {
    let mut piece = SpmPiece { text: Vec::new(), score: 0.0, kind: TokenType::Normal };
    let mut fields = Fields { bytes, at: 0 };
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (1, Field::Bytes(text)) => piece.text = text.to_vec(),
            (2, Field::Fixed32(bits)) => piece.score = f32::from_bits(bits),
            (3, Field::Varint(number)) => {
                let kind = i32::try_from(number).ok().and_then(TokenType::from_number);
                piece.kind = kind.ok_or_else(|| refused(format!("a piece has type {number}")))?;
            }
            _ => {}
        }
    }
    if piece.score.is_nan() {
        return Err(refused("a piece's score is NaN: it has no order".into()));
    }
    Ok(piece)
}

fn varint_of(bytes: &[u8], wanted: u64) -> Result<Option<u64>> {
    let mut found = None;
    let mut fields = Fields { bytes, at: 0 };
    while let Some((number, field)) = fields.next()? {
        if let (true, Field::Varint(value)) = (number == wanted, field) {
            found = Some(value);
        }
    }
    Ok(found)
}

enum Field<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
    /// Of a kind that nothing here has.
    Other,
}

/// The fields of one message.
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<Option<(u64, Field<'a>)>> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Varint(self.varint()?),
            1 => self.take(8).map(|_| Field::Other)?,
            2 => {
                let length = self.varint()?;
                Field::Bytes(self.take(usize::try_from(length).unwrap_or(usize::MAX))?)
            }
            5 => {
                let four = self.take(4)?;
                Field::Fixed32(four.try_into().map_or(0, u32::from_le_bytes))
            }
            other => return Err(refused(format!("wire type {other} at byte {}", self.at))),
        };
        Ok(Some((tag >> 3, field)))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            let detail = format!("a field of {length} bytes at byte {} does not end", self.at);
            return Err(Error::refused(Class::Truncated, "tokenizer.model", detail));
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(refused(format!("a number of more than 64 bits before byte {}", self.at)))
    }
}
