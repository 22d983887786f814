//! `gguf-spm`: SentencePiece's BPE as Llama and Phi-3 use it. A space is `▁`, the neighbours whose
//! join scores highest merge first, and what is no token falls back to bytes. Knows no special
//! tokens.

use super::by_text::ByText;
use super::cache::{Session, Speller};
use super::hash::{Index, Merge, Pairs};
use super::merge::NO_TOKEN;
use super::pieces::{Pieces, TokenType};
use super::unicode::decode;
use super::vocab::{Vocab, bad_tokens};
use crate::error::{Result, shown};
use crate::loader::gguf::Strings;
use crate::profile::Profile;
use std::collections::HashMap;

const ESCAPED_SPACE: &[u8] = "▁".as_bytes();
/// SentencePiece's own limit is 16 characters. A longer token would also make building the table
/// of pairs quadratic in its length.
const LONGEST: usize = 1024;

/// The encoder.
#[derive(Debug)]
pub(crate) struct Spm {
    /// Pairs of symbols → token; the rank is the place of the score, the best first.
    pairs: Pairs,
    /// (code point, 0) → symbol: its token, or a number from `tokens` on for a character that only
    /// occurs inside tokens.
    characters: Pairs,
    tokens: u32,
    /// How many bytes of text each token covers.
    covers: Vec<u16>,
    /// The token of each byte.
    bytes: Vec<u32>,
    neighbours: Neighbours,
    add_space_prefix: bool,
    profile: Profile,
}

/// Which two bytes, the second of them the first of a character, stand beside each other within
/// some token. Between two others nothing merges, so that a text can be cut there and its parts be
/// merged one by one: words from their spaces, and mostly from their punctuation too.
#[derive(Debug)]
struct Neighbours {
    /// A bit for each pair, at 256 times the first byte plus the second.
    joined: Vec<u64>,
}

impl Neighbours {
    fn of<'t>(tokens: impl Iterator<Item = &'t [u8]>) -> Self {
        let mut joined = vec![0_u64; 256 * 256 / 64];
        let mut join = |left: u8, right: u8| {
            let pair = usize::from(left) << 8 | usize::from(right);
            joined[pair / 64] |= 1 << (pair % 64);
        };
        tokens.flat_map(|text| text.windows(2)).for_each(|pair| join(pair[0], pair[1]));
        // Within a character no text is cut.
        (0..=0xff).for_each(|left| (0x80..=0xbf).for_each(|right| join(left, right)));
        Neighbours { joined }
    }

    /// The end of the part of `text` that begins at `at`.
    #[inline]
    fn part_end(&self, text: &[u8], at: usize) -> usize {
        let mut pair = usize::from(text[at]);
        for (place, byte) in text.iter().enumerate().skip(at + 1) {
            pair = (pair & 0xff) << 8 | usize::from(*byte);
            if self.joined[pair / 64] >> (pair % 64) & 1 == 0 {
                return place;
            }
        }
        text.len()
    }
}

/// The byte of a token like `<0x0A>`.
pub(crate) fn byte_of(token: &[u8]) -> Option<u8> {
    let hex = token.strip_prefix(b"<0x")?.strip_suffix(b">")?;
    let digits = std::str::from_utf8(hex).ok().filter(|digits| digits.len() == 2)?;
    u8::from_str_radix(digits, 16).ok()
}

/// Text with `▁` read as the space it stands for.
fn unescape(text: &[u8], out: &mut Vec<u8>) {
    let mut kept = 0;
    for at in memchr::memmem::find_iter(text, ESCAPED_SPACE) {
        out.extend_from_slice(&text[kept..at]);
        out.push(b' ');
        kept = at + ESCAPED_SPACE.len();
    }
    out.extend_from_slice(&text[kept..]);
}

/// The bytes of each token.
pub(crate) fn pieces(vocab: &Vocab) -> Result<Pieces> {
    let mut pieces = Pieces::with_capacity(vocab.tokens.len());
    for (id, (token, kind)) in vocab.tokens.iter().zip(&vocab.types).enumerate() {
        let byte = byte_of(token);
        if *kind == TokenType::Byte && byte.is_none() {
            let detail = format!("byte token {id} is {}, wanted \"<0x00>\"", shown(token));
            return Err(bad_tokens(detail));
        }
        pieces.push(*kind, |out| match (kind, byte) {
            (TokenType::Byte, Some(byte)) => out.push(byte),
            (TokenType::Normal, _) => unescape(token, out),
            _ => out.extend_from_slice(token),
        })?;
    }
    Ok(pieces)
}

/// llama.cpp believes the first byte of a character about its length.
fn believed_length(text: &[u8], at: usize) -> usize {
    let length = match text[at] >> 4 {
        0xc | 0xd => 2,
        0xe => 3,
        0xf => 4,
        _ => 1,
    };
    length.min(text.len() - at)
}

impl Spm {
    /// Builds the tables; what the vocabulary cannot be is found here.
    pub(crate) fn new(vocab: &Vocab, profile: Profile) -> Result<Self> {
        ByText::new(vocab.tokens)?; // refuses two ids with one text
        let mut spelled = Strings::default();
        let mut text = Vec::new();
        for token in vocab.tokens.iter() {
            text.clear();
            unescape(token, &mut text);
            spelled.push(&text);
        }
        let ids = mergeable(vocab, profile);
        let neighbours = Neighbours::of(ids.iter().map(|id| spelled_as(&spelled, *id)));
        let mut covers = vec![0; spelled.len()];
        for &id in &ids {
            let length = spelled_as(&spelled, id).len();
            covers[id as usize] =
                u16::try_from(length).ok().filter(|_| length <= LONGEST).ok_or_else(|| {
                    bad_tokens(format!("token {id} has {length} bytes, we merge up to {LONGEST}"))
                })?;
        }
        let (pairs, characters) = merges(vocab, &ids, &spelled)?;
        Ok(Spm {
            pairs,
            characters,
            tokens: spelled.len() as u32,
            covers,
            bytes: byte_tokens(vocab)?,
            neighbours,
            add_space_prefix: vocab.add_space_prefix.unwrap_or(true),
            profile,
        })
    }

    /// Whether encoding puts a space before a text, which decoding then takes off.
    pub(crate) fn adds_space_prefix(&self) -> bool {
        self.add_space_prefix
    }

    /// Appends the ids of a text without special tokens. `first`: nothing or a special token is
    /// before it.
    pub(crate) fn encode(
        &self,
        text: &[u8],
        first: bool,
        session: &mut Session,
        out: &mut Vec<u32>,
    ) {
        let mut spaced = Vec::with_capacity(text.len() + 1);
        if self.add_space_prefix && first {
            spaced.push(b' ');
        }
        unescape(text, &mut spaced);
        // Where a first byte is believed, it takes bytes along that belong to other characters.
        let in_parts = self.profile == Profile::Reference || std::str::from_utf8(text).is_ok();
        let mut at = 0;
        while at < spaced.len() {
            let end = if in_parts { self.neighbours.part_end(&spaced, at) } else { spaced.len() };
            session.word(&spaced, at, end, self, out);
            at = end;
        }
        session.finish(&spaced, self, out);
    }

    /// The code point at `at`, or `NO_TOKEN`, and how many bytes stay together.
    fn character(&self, word: &[u8], at: usize) -> (u32, usize) {
        match (decode(word, at), self.profile) {
            (Some(decoded), _) => decoded,
            (None, Profile::Reference) => (NO_TOKEN, 1),
            (None, Profile::LlamaCpp) => (NO_TOKEN, believed_length(word, at)),
        }
    }
}

impl Speller for Spm {
    fn symbols(&self, word: &[u8], out: &mut Vec<u32>) {
        let mut at = 0;
        while at < word.len() {
            let (code, length) = self.character(word, at);
            out.push(self.characters.get(code, 0).map_or(NO_TOKEN, |symbol| symbol.id));
            at += length;
        }
    }

    fn pairs(&self) -> &Pairs {
        &self.pairs
    }

    /// Every symbol that is no token is written as its bytes.
    fn ids(&self, word: &[u8], symbols: &[u32], out: &mut Vec<u32>) {
        let mut at = 0;
        for &id in symbols {
            if id < self.tokens {
                out.push(id);
                at += usize::from(self.covers[id as usize]);
                continue;
            }
            let (_, length) = self.character(word, at);
            let bytes = word[at..at + length].iter();
            out.extend(bytes.map(|byte| self.bytes[usize::from(*byte)]));
            at += length;
        }
    }
}

fn spelled_as(spelled: &Strings, id: u32) -> &[u8] {
    spelled.get(id as usize).unwrap_or_default()
}

/// The tokens that characters of a text may merge into.
fn mergeable(vocab: &Vocab, profile: Profile) -> Vec<u32> {
    let learned = |kind: TokenType| {
        matches!(kind, TokenType::Normal | TokenType::UserDefined | TokenType::Unused)
    };
    let tokens = vocab.tokens.iter().zip(&vocab.types).enumerate();
    tokens
        // llama.cpp merges into tokens of any type, so that there a text that is not trusted can
        // still spell a control token.
        .filter(|(_, (_, kind))| profile == Profile::LlamaCpp || learned(**kind))
        // A space is always written ▁ before merging, so these are out of reach.
        .filter(|(_, (token, _))| !token.contains(&b' '))
        .map(|(id, _)| id as u32)
        .collect()
}

/// The place of each id's score among all scores, the best first; equal scores share a place.
fn ranks(vocab: &Vocab, ids: &[u32]) -> Vec<u32> {
    // Adding zero turns -0.0 into 0.0, which compare equal in C++ too.
    let score = |id: &u32| vocab.scores.get(*id as usize).copied().unwrap_or_default() + 0.0;
    let mut scores: Vec<f32> = ids.iter().map(score).collect();
    scores.sort_by(|a, b| b.total_cmp(a));
    scores.dedup();
    let place = |id| scores.partition_point(|better| better.total_cmp(&score(id)).is_gt()) as u32;
    ids.iter().map(place).collect()
}

/// Pairs of symbols that merge, and the symbol of each character.
fn merges(vocab: &Vocab, ids: &[u32], spelled: &Strings) -> Result<(Pairs, Pairs)> {
    let mut index = Index::with_capacity(ids.len());
    let mut splits = 0;
    for &id in ids {
        let text = spelled_as(spelled, id);
        index.insert(index.hash(text), id, |id| spelled_as(spelled, id) == text);
        splits += text.len();
    }
    // A character that is no token but occurs in one is a symbol too: it may merge, and if it does
    // not, it falls back to bytes.
    let mut symbols: HashMap<u32, u32> = HashMap::new();
    let mut symbol = |text: &[u8]| -> Option<u32> {
        let (code, length) = decode(text, 0)?;
        let token = index.find(index.hash(text), |id| spelled_as(spelled, id) == text);
        if length < text.len() {
            return token;
        }
        let next = spelled.len() as u32 + symbols.len() as u32;
        Some(*symbols.entry(code).or_insert(token.unwrap_or(next)))
    };
    let mut pairs = Vec::with_capacity(splits);
    for (id, rank) in ids.iter().copied().zip(ranks(vocab, ids)) {
        let text = spelled_as(spelled, id);
        let mut at = decode(text, 0).map_or(1, |(_, length)| length);
        if at == text.len() {
            symbol(text);
        }
        while at < text.len() {
            let (left, right) = text.split_at(at);
            if let (Some(left), Some(right)) = (symbol(left), symbol(right)) {
                pairs.push((left, right, Merge { rank, id }));
            }
            at += decode(text, at).map_or(1, |(_, length)| length);
        }
    }
    let characters: Vec<_> =
        symbols.into_iter().map(|(code, id)| (code, 0, Merge { rank: 0, id })).collect();
    Ok((Pairs::new(&pairs).map_err(bad_tokens)?, Pairs::new(&characters).map_err(bad_tokens)?))
}

/// The token of each byte; without all of them, not every text could be encoded.
fn byte_tokens(vocab: &Vocab) -> Result<Vec<u32>> {
    let mut tokens = vec![None; 256];
    for (id, (token, kind)) in vocab.tokens.iter().zip(&vocab.types).enumerate() {
        // Where a file has no types, the text says it.
        if let (Some(byte), TokenType::Byte | TokenType::Normal) = (byte_of(token), kind) {
            tokens[usize::from(byte)].get_or_insert(id as u32);
        }
    }
    let missing = |byte: usize| {
        let detail = format!("no token is byte <0x{byte:02X}>: not every text could be encoded");
        bad_tokens(detail)
    };
    tokens.into_iter().enumerate().map(|(byte, id)| id.ok_or_else(|| missing(byte))).collect()
}
