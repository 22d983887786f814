//! The kernels' sources: compiled into the binary, or read from a folder by who works on them.
//! Knows texts and their digests, not what they compute.

use super::compiler::Constant;
use super::decode;
use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::path::PathBuf;

/// A folder to read the sources from instead: edit a kernel, run again, build nothing.
pub const FOLDER_VARIABLE: &str = "ORCD_KERNELS";

/// The folder that the sources are read from, if they are not the embedded ones. A variable that is
/// set to nothing names none.
pub(super) fn folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER_VARIABLE).filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

/// One embedded file.
pub struct Source {
    /// Its name in `engine/kernels`.
    pub file: &'static str,
    text: &'static str,
}

macro_rules! embedded {
    ($($file:literal),* $(,)?) => {
        &[$(Source {
            file: $file,
            text: include_str!(concat!("../../../kernels/", $file)),
        }),*]
    };
}

/// Every file of `engine/kernels` that is compiled, sorted. A `.cuh` is there to be included.
pub const SOURCES: &[Source] = embedded![
    "activate.cu",
    "activate.cuh",
    "add.cu",
    "attend.cu",
    "attend_fast.cu",
    "check.cu",
    "choose.cu",
    "choose.cuh",
    "choose_few.cu",
    "decode_attend.cuh",
    "decode_board.cuh",
    "decode_dense.cuh",
    "decode_experts.cuh",
    "decode_guard.cuh",
    "decode_mxfp4.cuh",
    "decode_ptx.cuh",
    "decode_q8.cuh",
    "decode_ring.cuh",
    "decode_state.cuh",
    "decode_token.cu",
    "dot.cuh",
    "embed.cu",
    "exp.cuh",
    "expert_matmul.cu",
    "expert_matmul_fast.cu",
    "expert_matmul_prompt.cu",
    "fast.cuh",
    "group.cu",
    "kv.cuh",
    "line_attend.cu",
    "line_attend.cuh",
    "line_product.cu",
    "line_product.cuh",
    "line_ptx.cuh",
    "line_row.cuh",
    "line_weight.cuh",
    "math.cuh",
    "matmul.cu",
    "matmul_fast.cu",
    "matmul_prompt.cu",
    "mix.cu",
    "norm.cu",
    "norm.cuh",
    "number.cuh",
    "packed.cuh",
    "read.cu",
    "reduce.cuh",
    "repack.cu",
    "rope.cu",
    "round.cu",
    "round.cuh",
    "route.cu",
    "rows.cu",
    "spread.cu",
    "step.cuh",
    "store.cu",
    "tile.cuh",
    "turn.cuh",
    "weight.cuh",
];

/// The stems of the kernel files.
pub fn stems() -> impl Iterator<Item = &'static str> {
    SOURCES.iter().filter_map(|source| source.file.strip_suffix(".cu"))
}

/// Kernel files that hold nothing until a model's shape is known.
const SHAPED: &[&str] = &["decode_token"];

/// What a pack holds of a kernel file.
pub struct Packed {
    /// The file's stem.
    pub stem: &'static str,
    /// What it is compiled for; other constants are compiled where they turn up.
    pub constants: Vec<Constant>,
    /// The one target that these constants are of, or none if it is for all.
    pub only: Option<&'static str>,
    /// Bytes that its kernels may spill.
    pub spill_bytes_max: u32,
}

impl Packed {
    /// Whether a pack for `target` holds it.
    pub fn is_for(&self, target: &str) -> bool {
        self.only.is_none_or(|only| only == target)
    }
}

/// Everything that a pack holds.
pub fn packed() -> impl Iterator<Item = Packed> {
    let plain = stems().filter(|stem| !SHAPED.contains(stem));
    let plain =
        plain.map(|stem| Packed { stem, constants: Vec::new(), only: None, spill_bytes_max: 0 });
    plain.chain(decode::released())
}

/// What a compiler gets for one kernel file: its text, and all that it may include.
pub struct Unit {
    /// The file's stem.
    pub stem: String,
    /// The file's text.
    pub text: Cow<'static, str>,
    /// Names and texts of the headers.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
}

impl Unit {
    /// The unit of `engine/kernels/STEM.cu`.
    pub fn of(stem: &str) -> Result<Unit> {
        let file = format!("{stem}.cu");
        let source = SOURCES.iter().find(|source| source.file == file);
        let source = source.ok_or_else(|| Error::kernel(stem, "there is no such kernel file"))?;
        let headers = SOURCES.iter().filter(|source| source.file.ends_with(".cuh"));
        let headers = headers.map(|header| Ok((header.file, text(header)?)));
        Ok(Unit {
            stem: stem.into(),
            text: text(source)?,
            headers: headers.collect::<Result<_>>()?,
        })
    }

    /// A digest of every text the result may depend on. Headers that it does not include count too:
    /// compiling once more is cheap, and following includes is one more thing to get wrong.
    pub fn digest(&self) -> String {
        let mut digest = Sha256::new();
        let files = [("", &self.text)].into_iter();
        for (name, text) in files.chain(self.headers.iter().map(|(name, text)| (*name, text))) {
            // Lengths first, so that no two lists of files give the same bytes.
            digest.update((name.len() as u64).to_le_bytes());
            digest.update(name);
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(text.as_bytes());
        }
        hex(&digest.finalize())
    }
}

fn text(source: &Source) -> Result<Cow<'static, str>> {
    let Some(folder) = folder() else {
        return Ok(Cow::Borrowed(source.text));
    };
    let path = folder.join(source.file);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Cow::Owned(text)),
        Err(error) => Err(Error::io("read", path, error)),
    }
}

/// The digest of some bytes, in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
