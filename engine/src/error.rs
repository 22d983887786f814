//! The one error type. Every variant names the thing and the numbers, in one line.

use std::path::PathBuf;
use thiserror::Error;

/// Shorthand used by the whole crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a file was refused. The names are a contract: scripts and cases match on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names say it; ARCHITECTURE.md lists what each one refuses
pub enum Class {
    BadMagic,
    BadVersion,
    CountOutOfRange,
    Truncated,
    StringTooLong,
    ArrayTooLong,
    NestedArray,
    BadType,
    WrongType,
    MissingKey,
    DuplicateKey,
    EmptyKey,
    InvalidKey,
    InvalidUtf8,
    InvalidBool,
    BadAlignment,
    NameTooLong,
    EmptyName,
    InvalidName,
    DuplicateName,
    BadNDims,
    BadShape,
    ZeroDim,
    ShapeOverflow,
    BadBlock,
    BadOffset,
    SizeOverflow,
    BadSplit,
    UnknownArch,
    BadHparam,
    BadVocab,
    ShapeMismatch,
    MissingTensor,
    ExtraTensor,
    BadTensorType,
    NonFinite,
    FileChanged,
    BadJson,
    TemplateError,
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

/// Anything that can go wrong in the engine.
#[derive(Debug, Error)]
pub enum Error {
    /// The file is not what it claims to be, or not something we run.
    #[error("{class}: {place}: {detail}")]
    Refused {
        /// Machine-readable reason.
        class: Class,
        /// Key, tensor, or byte offset.
        place: String,
        /// What was found and what was wanted, with the numbers.
        detail: String,
    },
    /// The operating system said no.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// What we were doing: "open", "map", "write".
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The command line asks for something that does not exist or does not fit together.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// A refusal; the usual way to make one.
    pub fn refused(class: Class, place: impl Into<String>, detail: impl Into<String>) -> Self {
        Error::Refused { class, place: place.into(), detail: detail.into() }
    }

    /// The class, if this is a refusal.
    pub fn class(&self) -> Option<Class> {
        match self {
            Error::Refused { class, .. } => Some(*class),
            _ => None,
        }
    }
}
