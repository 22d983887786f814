//! The codes that can encode, behind one name. Knows which there are, not how they work.

use super::bpe::Bpe;
use super::cache::Session;
use super::hf_json::{Fallback, Foreign};
use super::pieces::Pieces;
use super::spm::Spm;
use crate::error::Result;

/// Which code encodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BackendKind {
    /// Byte-level BPE from a GGUF file's tokens and merges.
    GgufBpe,
    /// SentencePiece's BPE from a GGUF file's tokens and scores.
    GgufSpm,
    /// tokenizer.json whose parts we know: byte-level BPE, our own code.
    HfBpe,
    /// tokenizer.json whose parts we know: BPE over characters with bytes to fall back to, our own
    /// code.
    HfFallback,
    /// tokenizer.json with parts we do not know: the `tokenizers` crate.
    HfForeign,
}

impl BackendKind {
    /// Whether it was made from a tokenizer.json.
    pub fn is_json(self) -> bool {
        !matches!(self, BackendKind::GgufBpe | BackendKind::GgufSpm)
    }

    /// Whether the code finds control tokens in a text itself, with rules that only it knows.
    pub(crate) fn cuts_specials(self) -> bool {
        self == BackendKind::HfForeign
    }

    /// Its name in kebab-case.
    pub fn name(self) -> &'static str {
        match self {
            BackendKind::GgufBpe => "gguf-bpe",
            BackendKind::GgufSpm => "gguf-spm",
            BackendKind::HfBpe => "hf-json-bpe",
            BackendKind::HfFallback => "hf-json-fallback",
            BackendKind::HfForeign => "hf-json-crate",
        }
    }
}

/// An encoder for text without special tokens.
#[derive(Debug)]
pub(crate) enum Backend {
    Bpe(Box<Bpe>),
    Spm(Box<Spm>),
    HfBpe(Box<Bpe>),
    HfFallback(Box<Fallback>),
    HfForeign(Box<Foreign>),
}

impl Backend {
    /// Which one it is.
    pub(crate) fn kind(&self) -> BackendKind {
        match self {
            Backend::Bpe(_) => BackendKind::GgufBpe,
            Backend::Spm(_) => BackendKind::GgufSpm,
            Backend::HfBpe(_) => BackendKind::HfBpe,
            Backend::HfFallback(_) => BackendKind::HfFallback,
            Backend::HfForeign(_) => BackendKind::HfForeign,
        }
    }

    /// Appends the ids of `text`. `first`: nothing or a special token is before it.
    #[inline]
    pub(crate) fn encode(
        &self,
        pieces: &Pieces,
        text: &[u8],
        first: bool,
        session: &mut Session,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        match self {
            Backend::Bpe(bpe) | Backend::HfBpe(bpe) => bpe.encode(pieces, text, session, out),
            Backend::HfFallback(fallback) => fallback.encode(text, session, out),
            Backend::HfForeign(foreign) => foreign.encode(text, session.trusted, out)?,
            Backend::Spm(spm) => spm.encode(text, first, session, out),
        }
        Ok(())
    }
}
