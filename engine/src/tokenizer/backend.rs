//! The codes that can encode, behind one name. Knows which there are, not how they work.

use super::bpe::Bpe;
use super::cache::Session;
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
}

impl BackendKind {
    /// Its name in kebab-case.
    pub fn name(self) -> &'static str {
        match self {
            BackendKind::GgufBpe => "gguf-bpe",
            BackendKind::GgufSpm => "gguf-spm",
        }
    }
}

/// An encoder for text without special tokens.
#[derive(Debug)]
pub(crate) enum Backend {
    Bpe(Box<Bpe>),
    Spm(Box<Spm>),
}

impl Backend {
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
            Backend::Bpe(bpe) => bpe.encode(pieces, text, session, out),
            Backend::Spm(spm) => spm.encode(text, first, session, out),
        }
        Ok(())
    }
}
