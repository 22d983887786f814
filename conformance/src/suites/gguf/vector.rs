//! Suite `gguf-file`: a file spelled piece by piece, and the one answer that its reader must give,
//! in time, within memory, twice the same, from bytes and from a path. Knows the contract, not the
//! reader.

use super::attempt::{self, Answer, Attempt};
use super::construct::{self, Piece};
use super::oracle;
use crate::suites::vectors::Vector;
use engine::loader::Gguf;
use harness::vector::{CaseHead, Head};
use harness::{Failure, Run};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

const MIB: usize = 1 << 20;
/// Files under 1 MiB have this long; larger ones this long a MiB.
const TIME_PER_MIB: Duration = Duration::from_millis(50);
/// Caches shared with others only ever add time, so the fastest of a few attempts is the true one.
const ATTEMPTS: usize = 5;

/// A file and the answer it must get.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FileVector {
    /// The file, piece by piece; the language stands in `construct.rs`.
    pub file: Vec<Piece>,
    /// Its length in bytes: a reader of the vector sees the size, and a slip in a piece is found.
    pub length: usize,
    /// `Ok`, or the error class.
    pub want: String,
    /// What the error must say: the thing, the place, the numbers. Required with a class.
    #[serde(default)]
    pub message: Vec<String>,
    /// Classes of the warnings that an accepted file must carry, in order.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// What others did with the same construct.
    #[serde(default)]
    pub peers: Option<Peers>,
}

/// What others did; recorded, not judged.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Peers {
    /// llama.cpp, worst of metadata only, no allocation, and full load.
    pub llama_cpp: Peer,
    /// gguf-py.
    pub gguf_py: Peer,
}

/// What a program did with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Peer {
    /// An error or an exception.
    Refuse,
    /// No error.
    Accept,
    /// No error unless the data is loaded.
    AcceptMetadata,
    /// No answer within 15 s.
    Hang,
    /// The process died of an assertion or an uncaught exception.
    Sigabrt,
    /// The process died of an arithmetic fault.
    Sigfpe,
}

impl Peer {
    /// Whether the process did not survive.
    pub fn died(self) -> bool {
        matches!(self, Peer::Sigabrt | Peer::Sigfpe)
    }

    /// Whether it never answered.
    pub fn hung(self) -> bool {
        self == Peer::Hang
    }

    /// Whether it took the file, or its metadata.
    pub fn accepted(self) -> bool {
        matches!(self, Peer::Accept | Peer::AcceptMetadata)
    }
}

impl FileVector {
    /// The file's bytes.
    pub fn bytes(&self) -> Result<Arc<Vec<u8>>, String> {
        let bytes = construct::build(&self.file)?.bytes;
        match bytes.len() == self.length {
            true => Ok(Arc::new(bytes)),
            false => Err(format!("the pieces make {} bytes, not {}", bytes.len(), self.length)),
        }
    }
}

impl Vector for FileVector {
    const SUITE: &'static str = "gguf-file";

    fn judge(&self, _: &Head, _: &CaseHead, run: &mut Run) -> Result<(), Failure> {
        if self.message.is_empty() != (self.want == "Ok") {
            return Err("a class wants a `message`, and `Ok` has none".into());
        }
        let bytes = self.bytes()?;
        let first = attempt_within_time(&bytes)?;
        expect(&first.answer, &self.want, &self.message)?;
        if let Answer::Refused(_, text) = &first.answer {
            attempt::unfit(text).map_or(Ok(()), Err)?;
        }
        if let Answer::Accepted(layout) = &first.answer {
            oracle::verify(&bytes, layout)?;
            let warnings: Vec<_> = layout.warnings.iter().map(|w| w.class.to_string()).collect();
            if warnings != self.warnings {
                let warned: Vec<_> = layout.warnings.iter().map(|w| w.to_string()).collect();
                return Err(format!("wants {:?}, warned {warned:?}", self.warnings).into());
            }
        }
        let limit = heap_limit(&bytes);
        if first.heap.peak_bytes > limit {
            return Err(
                format!("{} heap bytes at once, {limit} allowed", first.heap.peak_bytes).into()
            );
        }
        let again = attempt::parse(&bytes).answer;
        if again.text() != first.answer.text() {
            return Err(format!(
                "two attempts, two answers:\n    {}\n    {}",
                first.answer.text(),
                again.text()
            )
            .into());
        }
        run.figure("parse-us", first.took.as_secs_f64() * 1e6, "us");
        run.figure("heap-peak", first.heap.peak_bytes as f64, "bytes");
        from_path(&bytes, &self.want)
    }
}

/// Memory that a file justifies.
pub fn heap_limit(bytes: &[u8]) -> usize {
    let head_bytes = oracle::walk(bytes).map_or(bytes.len(), |walk| walk.head_bytes);
    64 * MIB + 2 * head_bytes
}

fn attempt_within_time(bytes: &Arc<Vec<u8>>) -> Result<Attempt, Failure> {
    let limit = TIME_PER_MIB * bytes.len().div_ceil(MIB).max(1) as u32;
    let mut fastest: Option<Attempt> = None;
    for _ in 0..ATTEMPTS {
        let attempt = attempt::parse_alone(bytes)?;
        if attempt.took <= limit {
            return Ok(attempt);
        }
        if fastest.as_ref().is_none_or(|best| attempt.took < best.took) {
            fastest = Some(attempt);
        }
    }
    let took = fastest.map(|best| best.took).unwrap_or_default();
    Err(format!("{took:?} at best for {} bytes, {limit:?} allowed", bytes.len()).into())
}

fn expect(answer: &Answer, want: &str, parts: &[String]) -> Result<(), Failure> {
    if answer.word() != want {
        return Err(format!("wants {want}, got {}: {}", answer.word(), answer.text()).into());
    }
    match parts.iter().find(|part| !answer.text().contains(part.as_str())) {
        Some(part) => Err(format!("{want} without saying {part:?}: {}", answer.text()).into()),
        None => Ok(()),
    }
}

fn from_path(bytes: &[u8], want: &str) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, bytes)?;
    let word = match Gguf::open(&path) {
        Ok(_) => "Ok".to_owned(),
        Err(error) => attempt::from_error(&error).word(),
    };
    match word == want {
        true => Ok(()),
        false => Err(format!("{want} from bytes, but {word} from a path").into()),
    }
}
