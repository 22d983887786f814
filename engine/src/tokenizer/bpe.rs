//! `gguf-bpe`: byte-level BPE. Cuts a text with a pre-tokeniser and merges the bytes of each piece
//! by the vocabulary's merges. Knows no special tokens.

use super::by_text::ByText;
use super::cache::{Session, Speller};
use super::hash::{Index, Pairs};
use super::pieces::{Pieces, TokenType};
use super::pretokenize::{self, Pre, Stage};
use super::vocab::{Vocab, bad_merges, bad_tokens};
use super::{bytes, merges, normalize};
use crate::error::Result;
use crate::profile::Profile;
use std::borrow::Cow;

/// The encoder.
#[derive(Debug)]
pub(crate) struct Bpe {
    stages: &'static [Stage],
    compose: bool,
    replace_invalid: bool,
    /// The token of each byte.
    bytes: Vec<u32>,
    pairs: Pairs,
    /// Learned tokens by their bytes, where a word that is a token is not merged.
    whole: Option<Index>,
}

/// An encoder and the bytes of its tokens.
struct Spelling<'a> {
    bpe: &'a Bpe,
    pieces: &'a Pieces,
}

impl Speller for Spelling<'_> {
    #[inline]
    fn symbols(&self, word: &[u8], out: &mut Vec<u32>) {
        let whole = self.bpe.whole.as_ref();
        let is_word = |id| self.pieces.get(id) == Some(word);
        match whole.and_then(|index| index.find(index.hash(word), is_word)) {
            Some(id) => out.push(id),
            None => out.extend(word.iter().map(|byte| self.bpe.bytes[usize::from(*byte)])),
        }
    }

    fn pairs(&self) -> &Pairs {
        &self.bpe.pairs
    }
}

/// Bytes that valid UTF-8 never holds; a vocabulary may lack their tokens.
fn is_in_utf8(byte: u8) -> bool {
    !matches!(byte, 0xc0 | 0xc1 | 0xf5..=0xff)
}

/// The bytes of each token.
pub(crate) fn pieces(vocab: &Vocab) -> Result<Pieces> {
    let mut pieces = Pieces::with_capacity(vocab.tokens.len());
    for (token, kind) in vocab.tokens.iter().zip(&vocab.types) {
        pieces.push(*kind, |out| match kind {
            TokenType::Normal => bytes::decode_into(token, out),
            TokenType::Byte => match super::spm::byte_of(token) {
                Some(byte) => out.push(byte),
                None => bytes::decode_into(token, out),
            },
            _ => out.extend_from_slice(token),
        })?;
    }
    Ok(pieces)
}

impl Bpe {
    /// Builds the tables; what the vocabulary cannot be is found here.
    pub(crate) fn new(
        vocab: &Vocab,
        pieces: &Pieces,
        pre: &'static Pre,
        profile: Profile,
    ) -> Result<Self> {
        let by_text = ByText::new(vocab.tokens)?;
        let merges = vocab.merges.map(|texts| merges::read(texts, &by_text)).transpose()?;
        let merges = merges.unwrap_or_default();
        let pairs = Pairs::new(&merges).map_err(bad_merges)?;
        let mut byte_ids = Vec::with_capacity(256);
        let mut replace_invalid = profile == Profile::LlamaCpp;
        for byte in 0..=255 {
            let name = bytes::character(byte);
            let mut text = [0; 4];
            let text = name.encode_utf8(&mut text).as_bytes();
            let learned = |id: &u32| pieces.kind(*id) == Some(TokenType::Normal);
            match by_text.get(text).filter(learned) {
                Some(id) => byte_ids.push(id),
                None if is_in_utf8(byte) => {
                    let detail = format!("no token is byte {byte:#04x} (written '{name}')");
                    return Err(bad_tokens(format!("{detail}: not every text could be encoded")));
                }
                None => {
                    replace_invalid = true;
                    byte_ids.push(super::merge::NO_TOKEN);
                }
            }
        }
        Ok(Bpe {
            stages: pre.stages(profile),
            compose: pre.nfc && profile == Profile::Reference,
            replace_invalid,
            bytes: byte_ids,
            pairs,
            whole: pre.ignore_merges.then(|| learned(pieces)),
        })
    }

    /// Appends the ids of a text without special tokens.
    pub(crate) fn encode(
        &self,
        pieces: &Pieces,
        text: &[u8],
        session: &mut Session,
        out: &mut Vec<u32>,
    ) {
        let text = match self.replace_invalid {
            true => normalize::replace_invalid(text),
            false => Cow::Borrowed(text),
        };
        let text = match self.compose {
            true => normalize::compose(text),
            false => text,
        };
        let text = &*text;
        let speller = Spelling { bpe: self, pieces };
        pretokenize::split(self.stages, text, |start, end| {
            session.word(text, start, end, &speller, out);
        });
        session.finish(text, &speller, out);
    }
}

/// Learned tokens by their bytes. Two writings of the same bytes cannot both be meant; the first
/// keeps them.
fn learned(pieces: &Pieces) -> Index {
    let mut index = Index::with_capacity(pieces.len());
    for id in (0..pieces.len() as u32).filter(|id| pieces.kind(*id) == Some(TokenType::Normal)) {
        let piece = pieces.get(id);
        index.insert(index.hash(piece.unwrap_or_default()), id, |id| pieces.get(id) == piece);
    }
    index
}
