//! Cuts a text at the tokens that are not learned text: control tokens where the caller trusts the
//! text, user-defined ones always. Leftmost first, then longest. Knows no merges.

use super::pieces::TokenType;
use super::unicode::{KINDS, SPACE};
use super::vocab::bad_tokens;
use crate::error::Result;
use aho_corasick::{AhoCorasick, MatchKind};

/// White space beside a token that belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Strip {
    /// Before it.
    pub left: bool,
    /// After it.
    pub right: bool,
}

/// A token to cut out.
#[derive(Debug, Clone)]
pub(crate) struct Added {
    pub(crate) id: u32,
    pub(crate) text: Vec<u8>,
    pub(crate) kind: TokenType,
    pub(crate) strip: Strip,
}

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part<'t> {
    /// To be encoded; never empty.
    Text(&'t [u8]),
    /// A token that was written out.
    Token(u32),
}

/// More text than this in tokens to cut out is no vocabulary: the largest real one has 30 KiB.
const MOST_TEXT: usize = 16 << 20;

#[derive(Debug)]
struct Matcher {
    automaton: AhoCorasick,
    tokens: Vec<(u32, Strip)>,
}

/// The tokens to cut out, ready to be looked for.
#[derive(Debug)]
pub(crate) struct Specials {
    /// All of them.
    trusted: Option<Matcher>,
    /// Those that even an untrusted text may contain.
    untrusted: Option<Matcher>,
    ascii_strip: bool,
}

impl Matcher {
    fn new<'a>(added: impl Iterator<Item = &'a Added>) -> Result<Option<Self>> {
        let (tokens, texts): (Vec<_>, Vec<_>) =
            added.map(|added| ((added.id, added.strip), added.text.as_slice())).unzip();
        if tokens.is_empty() {
            return Ok(None);
        }
        let bytes: usize = texts.iter().map(|text| text.len()).sum();
        if bytes > MOST_TEXT {
            let detail = format!("{} special tokens of {bytes} bytes in all", tokens.len());
            return Err(bad_tokens(format!("{detail}, we read at most {MOST_TEXT}")));
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(texts)
            .map_err(|e| bad_tokens(format!("special tokens cannot be searched for: {e}")))?;
        Ok(Some(Matcher { automaton, tokens }))
    }
}

impl Specials {
    /// `ascii_strip`: only C's white space is stripped, as llama.cpp does.
    pub(crate) fn new(added: &[Added], ascii_strip: bool) -> Result<Self> {
        let user = added.iter().filter(|added| added.kind == TokenType::UserDefined);
        Ok(Specials {
            trusted: Matcher::new(added.iter())?,
            untrusted: Matcher::new(user)?,
            ascii_strip,
        })
    }

    /// Cuts `text` into parts, in order.
    pub(crate) fn cut<'t>(
        &self,
        text: &'t [u8],
        parse_special: bool,
        mut part: impl FnMut(Part<'t>) -> Result<()>,
    ) -> Result<()> {
        let matcher = if parse_special { &self.trusted } else { &self.untrusted };
        let mut at = 0;
        if let Some(Matcher { automaton, tokens }) = matcher {
            for found in automaton.find_iter(text) {
                let (id, strip) = tokens[found.pattern().as_usize()];
                let before = text.get(at..found.start()).unwrap_or_default();
                let before = if strip.left { self.trim_end(before) } else { before };
                if !before.is_empty() {
                    part(Part::Text(before))?;
                }
                part(Part::Token(id))?;
                at = found.end();
                if strip.right {
                    at += self.leading_space(&text[at..]);
                }
            }
        }
        match text.get(at..) {
            Some(rest) if !rest.is_empty() => part(Part::Text(rest)),
            _ => Ok(()),
        }
    }

    /// Where in `text` the tokens stand that even an untrusted text may contain.
    pub(crate) fn for_anyone(&self, text: &[u8]) -> impl Iterator<Item = (usize, usize)> {
        let found = self.untrusted.iter().flat_map(move |all| all.automaton.find_iter(text));
        found.map(|found| (found.start(), found.end()))
    }

    fn is_space(&self, text: &[u8], at: usize) -> Option<usize> {
        let (kind, length) = KINDS.at(text, at);
        let counts = kind & SPACE != 0 && !(self.ascii_strip && text[at] >= 0x80);
        counts.then_some(length)
    }

    fn leading_space(&self, text: &[u8]) -> usize {
        let mut at = 0;
        while let Some(length) = self.is_space(text, at) {
            at += length;
        }
        at
    }

    fn trim_end<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let mut end = text.len();
        // A character has at most four bytes, and white space at most three.
        while let Some(start) = (end.saturating_sub(3)..end)
            .find(|start| self.is_space(&text[..end], *start) == Some(end - start))
        {
            end = start;
        }
        &text[..end]
    }
}
