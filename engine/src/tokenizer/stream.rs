//! Decoding one id at a time: every piece given out is valid UTF-8, a character is given out when
//! it is whole, and the pieces together are what decoding all ids at once gives. Knows no stop
//! strings.

use super::{TokenType, Tokenizer, is_structure};
use crate::error::Result;

/// What is left over between ids.
#[derive(Debug, Clone)]
pub struct TextStream {
    special: bool,
    /// Bytes of a character that is not whole yet: at most three.
    pending: Vec<u8>,
    /// No token with text has come yet.
    opening: bool,
}

impl TextStream {
    /// `special`: control tokens are written out instead of left out.
    pub fn new(special: bool) -> Self {
        TextStream { special, pending: Vec::new(), opening: true }
    }

    /// The text that this id completes; often one word, sometimes nothing.
    pub fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> Result<String> {
        let (mut piece, kind) = tokenizer.known_piece(id)?;
        if is_structure(kind) && !self.special {
            return Ok(String::new());
        }
        let prefixed = tokenizer.info().add_space_prefix && kind == TokenType::Normal;
        if self.opening && prefixed {
            piece = piece.strip_prefix(b" ").unwrap_or(piece);
        }
        self.opening = false;
        self.pending.extend_from_slice(piece);
        Ok(self.whole_characters(false))
    }

    /// What is left at the end: U+FFFD for a character that never became whole.
    pub fn finish(&mut self) -> String {
        self.whole_characters(true)
    }

    fn whole_characters(&mut self, last: bool) -> String {
        let mut text = String::new();
        let mut held = 0;
        let mut chunks = self.pending.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            text.push_str(chunk.valid());
            if chunk.invalid().is_empty() {
                continue;
            }
            // Only the last bytes can still become a character, and only if they begin one.
            if !last && chunks.peek().is_none() && begins_character(chunk.invalid()) {
                held = chunk.invalid().len();
            } else {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        self.pending.drain(..self.pending.len() - held);
        text
    }
}

/// Whether more bytes could make these a character.
fn begins_character(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}
