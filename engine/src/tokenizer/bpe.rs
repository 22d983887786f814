//! `gguf-bpe`: byte-level BPE. Cuts a text with a pre-tokeniser and merges the bytes of each piece
//! by the vocabulary's merges. Knows no special tokens.

use super::cache::Session;
use super::hash::{Index, Merge, Pairs, Ranked};
use super::merge::merge;
use super::pieces::{Pieces, TokenType};
use super::pretokenize::{self, Pre, Stage};
use super::vocab::{Vocab, bad_merges, bad_tokens};
use super::{bytes, normalize};
use crate::error::Result;
use crate::profile::Profile;
use std::borrow::Cow;
use std::sync::atomic::{AtomicU8, Ordering};

/// Whether merging the bytes of a token gives that token back.
const UNKNOWN: u8 = 0;
const WHOLE: u8 = 1;
const NOT_WHOLE: u8 = 2;

/// The encoder.
#[derive(Debug)]
pub(crate) struct Bpe {
    stages: &'static [Stage],
    ignore_merges: bool,
    compose: bool,
    replace_invalid: bool,
    /// The token of each byte.
    bytes: Vec<u32>,
    pairs: Pairs,
    /// What two bytes merge into, at 256 times the first plus the second: every merging begins
    /// with these, and of a whole table only the letters' corner is ever touched.
    byte_pairs: Vec<Ranked>,
    /// Learned tokens by their bytes.
    index: Index,
    /// Found out when a token is first met: most words are one token, and need no merging then.
    whole: Vec<AtomicU8>,
    longest: usize,
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
    pieces.seal();
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
        let by_text = vocab.index()?;
        let merges = vocab.merges(&by_text)?;
        let mut pairs = Pairs::with_capacity(merges.len());
        for (rank, (left, right, id)) in merges.into_iter().enumerate() {
            let rank = u32::try_from(rank).unwrap_or(u32::MAX - 1);
            if !pairs.insert(left, right, Merge { rank, id }) {
                return Err(bad_merges(format!("merge {rank} is there twice")));
            }
        }
        let mut index = Index::with_capacity(pieces.len());
        let mut longest = 0;
        for id in (0..pieces.len() as u32).filter(|id| pieces.kind(*id) == Some(TokenType::Normal))
        {
            let piece = pieces.get(id).unwrap_or_default();
            // Two writings of the same bytes cannot both be meant; the first keeps them.
            if index.insert(piece, id, |id| pieces.get(id)).is_none() {
                longest = longest.max(piece.len());
            }
        }
        let mut byte_ids = Vec::with_capacity(256);
        let mut replace_invalid = profile == Profile::LlamaCpp;
        for byte in 0..=255 {
            match index.get(&[byte], |id| pieces.get(id)) {
                Some(id) => byte_ids.push(id),
                None if is_in_utf8(byte) => {
                    let name = bytes::character(byte);
                    let detail = format!("no token is byte {byte:#04x} (written '{name}')");
                    return Err(bad_tokens(format!("{detail}: not every text could be encoded")));
                }
                None => {
                    replace_invalid = true;
                    byte_ids.push(super::merge::NO_TOKEN);
                }
            }
        }
        let byte_pairs = byte_ids
            .iter()
            .flat_map(|left| byte_ids.iter().map(|right| pairs.find(*left, *right)))
            .collect();
        Ok(Bpe {
            stages: pre.stages(profile),
            ignore_merges: pre.ignore_merges,
            compose: pre.nfc && profile == Profile::Reference,
            replace_invalid,
            bytes: byte_ids,
            pairs,
            byte_pairs,
            index,
            whole: (0..pieces.len()).map(|_| AtomicU8::new(UNKNOWN)).collect(),
            longest,
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
        let word = |word: &[u8], session: &mut Session| self.word(pieces, word, session);
        pretokenize::split(self.stages, text, |start, end| {
            if session.ask(text, start, end) {
                session.answer(text, word, out);
            }
        });
        session.answer(text, word, out);
    }

    /// Leaves the ids of one word in the session.
    fn word(&self, pieces: &Pieces, word: &[u8], session: &mut Session) {
        let found = match word.len() <= self.longest {
            true => self.index.get(word, |id| pieces.get(id)),
            false => None,
        };
        let state = found.map(|id| &self.whole[id as usize]);
        let known = state.map_or(NOT_WHOLE, |state| state.load(Ordering::Relaxed));
        session.word.clear();
        if let Some(id) = found
            && (self.ignore_merges || known == WHOLE)
        {
            return session.word.push(id);
        }
        session.word.extend(word.iter().map(|byte| self.bytes[usize::from(*byte)]));
        let first = |place: usize, _, _| {
            self.byte_pairs[usize::from(word[place]) << 8 | usize::from(word[place + 1])]
        };
        merge(&mut session.word, &self.pairs, &mut session.scratch, first);
        if let (Some(state), UNKNOWN) = (state, known) {
            let whole = session.word.len() == 1 && session.word.first() == found.as_ref();
            state.store(if whole { WHOLE } else { NOT_WHOLE }, Ordering::Relaxed);
        }
    }
}
