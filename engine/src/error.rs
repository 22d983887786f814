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
    /// Only ever a warning: padding that should be zero is not.
    NonZeroPad,
    BadSplit,
    UnknownArch,
    BadHparam,
    BadVocab,
    ShapeMismatch,
    MissingTensor,
    ExtraTensor,
    BadTensorType,
    ExtraDim,
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
    #[error("{doing} {}: {source}", shown(path.as_os_str().as_encoded_bytes()))]
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
    /// A parameter of a request is outside of what it can be.
    #[error("{name} {value}: must be {range}")]
    Parameter {
        /// Its name, as a request spells it.
        name: &'static str,
        /// What it was.
        value: String,
        /// What it can be.
        range: String,
    },
    /// The model computed a row of logits from which nothing can be chosen.
    #[error(
        "logits of position {position}: {count} of {n_vocab} are NaN or infinite, the first of \
         token {first}"
    )]
    BadLogits {
        /// Where the chosen token would have stood.
        position: u64,
        /// How many are not finite.
        count: usize,
        /// How many there are.
        n_vocab: usize,
        /// The lowest id of those.
        first: usize,
    },
    /// There is no CUDA device to run on.
    #[error(
        "no CUDA device: {why}; install the NVIDIA driver, or use --backend cpu, which needs none"
    )]
    NoDevice {
        /// What was tried, and the answer.
        why: String,
    },
    /// The CUDA driver cannot load what we ship.
    #[error("the NVIDIA driver supports {has} and {needs} is needed: install a newer driver")]
    DriverTooOld {
        /// What it supports.
        has: String,
        /// The oldest that would do.
        needs: String,
    },
    /// A device that we do not run on.
    #[error("{device} is not supported: {why}")]
    DeviceRefused {
        /// The device's name.
        device: String,
        /// What it has and what is needed.
        why: String,
    },
    /// Device memory ran out.
    #[error("out of device memory for {what}: needs {needs} bytes, has {has} free of {total}")]
    DeviceMemory {
        /// What the memory was for, its owner first.
        what: String,
        /// Bytes asked for.
        needs: usize,
        /// Bytes free at that moment.
        has: usize,
        /// Bytes the device has in all.
        total: usize,
    },
    /// The driver refused a call; the device still works.
    #[error("cannot {doing}: the CUDA driver answers {}", crate::backend::cuda::Named(*code))]
    Device {
        /// The driver's number.
        code: u32,
        /// What was being done.
        doing: &'static str,
    },
    /// The process has lost its device: nothing that it computes there can be trusted any more.
    #[error(
        "{why}: the CUDA driver answers {}; this process has lost the device and must end",
        crate::backend::cuda::Named(*code)
    )]
    DeviceLost {
        /// The driver's number.
        code: u32,
        /// What was being done when it was noticed.
        why: String,
    },
    /// A kernel cannot be compiled, found or loaded.
    #[error("kernel {kernel}: {why}")]
    Kernel {
        /// The kernel's file stem, with its constants if it has any.
        kernel: String,
        /// The compiler's log, or what is missing and how to get it.
        why: String,
    },
}

impl Error {
    /// A refusal; the usual way to make one.
    pub fn refused(class: Class, place: impl Into<String>, detail: impl Into<String>) -> Self {
        Error::Refused { class, place: place.into(), detail: detail.into() }
    }

    /// Wraps the operating system's answer.
    pub fn io(doing: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Error::Io { doing, path: path.into(), source }
    }

    /// The same refusal, saying which of several files is meant.
    pub fn in_file(self, path: &std::path::Path) -> Self {
        match self {
            Error::Refused { class, place, detail } => {
                let file = shown(path.as_os_str().as_encoded_bytes());
                Error::refused(class, format!("{place} in {file}"), detail)
            }
            other => other,
        }
    }

    /// A kernel that cannot be used.
    pub fn kernel(kernel: impl Into<String>, why: impl Into<String>) -> Self {
        Error::Kernel { kernel: kernel.into(), why: why.into() }
    }

    /// What the process ends with: 3 for a refused file, 2 for a wrong command line, 86 for a lost
    /// device, which only a new process gets back; else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Refused { .. } => 3,
            Error::Usage(_) | Error::Parameter { .. } => 2,
            Error::DeviceLost { .. } => 86,
            _ => 1,
        }
    }

    /// The class, if this is a refusal.
    pub fn class(&self) -> Option<Class> {
        match self {
            Error::Refused { class, .. } => Some(*class),
            _ => None,
        }
    }
}

/// How many characters of a name a message shows.
const SHOWN_CHARS: usize = 120;

/// Text from a file, fit for one line of a message: quoted, everything unprintable escaped, long
/// text cut with its length. Names in files are hostile until proven otherwise.
pub fn shown(text: impl AsRef<[u8]>) -> String {
    let text = text.as_ref();
    // A character has at most four bytes, so this holds one character more than is shown.
    let head = &text[..text.len().min((SHOWN_CHARS + 1) * 4)];
    let pieces = head.utf8_chunks().flat_map(|chunk| {
        let valid = chunk.valid().chars().map(escaped);
        let invalid = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}"));
        valid.chain(invalid)
    });
    let mut line = String::from('"');
    for (index, piece) in pieces.enumerate() {
        if index == SHOWN_CHARS {
            return format!("{line}…\" ({} bytes)", text.len());
        }
        line.push_str(&piece);
    }
    line + "\""
}

fn escaped(c: char) -> String {
    match c {
        '\'' => c.to_string(),
        _ => c.escape_debug().to_string(),
    }
}

/// What a message is about, spelled only if the message is: `tensor "blk.0.attn_q.weight"`.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a>(pub &'static str, pub &'a str);

impl std::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.0, shown(self.1))
    }
}
