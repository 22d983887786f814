//! Suite `model-file`: a sound small model, what is done to it, and the one answer that opening it
//! must give: in time, within memory, twice the same, and the process lives.

use super::change::Draft;
use super::opening;
use crate::alloc;
use crate::models;
use crate::suites::gguf::attempt::{self, HANG};
use crate::suites::vectors::Vector;
use harness::vector::{CaseHead, Head};
use harness::{Failure, Run};
use schemars::JsonSchema;
use serde::Deserialize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Memory that opening a file may take besides twice its own bytes.
const HEAP_BYTES: usize = 64 << 20;
/// For the smallest file; what is proportional comes on top. Generous, because a vocabulary is
/// built too and the machine may be busy: what is not linear takes minutes.
const TIME: Duration = Duration::from_secs(1);
const TIME_PER_MIB: Duration = Duration::from_secs(1);
/// Caches shared with others only ever add time, so the fastest of a few attempts is the true one.
const ATTEMPTS: usize = 5;

/// A changed model and the answer it must get.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ModelVector {
    /// The sound model: a description under `conformance/models`.
    pub(super) base: String,
    /// What is done to it; the language stands in `change.rs`.
    #[serde(default)]
    pub(super) change: Vec<String>,
    /// `Ok`, or the error class.
    pub(super) want: String,
    /// What the error must say. Required with a class.
    #[serde(default)]
    pub(super) message: Vec<String>,
    /// What llama.cpp of August 2026 did with the same construct: recorded, not judged.
    #[serde(default)]
    pub(super) llama_cpp: Option<Peer>,
}

/// What another engine did with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Peer {
    /// An error.
    Refuse,
    /// Loaded, and computed numbers.
    Accept,
    /// Loaded, and computed what is no number.
    NonFinite,
    /// The process died of an assertion or an uncaught exception.
    Sigabrt,
}

/// What opening said, and its price.
#[derive(Debug)]
pub(super) struct Opened {
    /// `Ok`, a class, or `broken` for a panic or an error without a class.
    pub(super) word: String,
    /// The text of the error.
    pub(super) text: String,
    heap: usize,
    took: Duration,
}

impl ModelVector {
    /// Writes the changed model.
    pub(super) fn write(&self, folder: &Path) -> Result<PathBuf, Failure> {
        let sound = models::open(&self.base, 0, folder)?;
        let mut draft = Draft::of(&sound);
        for line in &self.change {
            draft.change(line)?;
        }
        let path = folder.join("changed.gguf");
        draft.write(&path)?;
        Ok(path)
    }
}

/// Opens a file on a thread of its own, watched.
pub(super) fn open(path: &Path) -> Result<Opened, Failure> {
    let path = path.to_owned();
    let opened = attempt::watched(HANG, move |_| {
        let start = Instant::now();
        let work = || catch_unwind(AssertUnwindSafe(|| opening::whole(&path)));
        let (result, heap) = alloc::measure(work);
        let took = start.elapsed();
        let (word, text) = match result {
            Ok(Ok(())) => ("Ok".into(), String::new()),
            Ok(Err(error)) => match error.class() {
                Some(class) => (class.to_string(), error.to_string()),
                None => ("broken".into(), format!("not a refusal: {error}")),
            },
            Err(_) => ("broken".into(), "a panic".into()),
        };
        Opened { word, text, heap: heap.peak_bytes, took }
    });
    Ok(opened?)
}

impl Vector for ModelVector {
    const SUITE: &'static str = "model-file";

    fn judge(&self, _: &Head, _: &CaseHead, run: &mut Run) -> Result<(), Failure> {
        if self.message.is_empty() != (self.want == "Ok") {
            return Err("a class wants a `message`, and `Ok` has none".into());
        }
        let folder = tempfile::tempdir()?;
        let path = self.write(folder.path())?;
        let size = std::fs::metadata(&path)?.len() as usize;
        let limit = TIME + TIME_PER_MIB * (size >> 20) as u32;
        let mut first = open(&path)?;
        for _ in 1..ATTEMPTS {
            if first.took <= limit {
                break;
            }
            first = open(&path)?;
        }
        let Opened { word, text, heap, took } = &first;
        if *word != self.want {
            return Err(format!("wants {}, got {word}: {text}", self.want).into());
        }
        if let Some(part) = self.message.iter().find(|part| !text.contains(part.as_str())) {
            return Err(format!("{word} without saying {part:?}: {text}").into());
        }
        if word != "Ok" {
            attempt::unreadable(text).map_or(Ok(()), Err)?;
        }
        if *heap > HEAP_BYTES + 2 * size {
            return Err(format!("{heap} heap bytes at once for a file of {size}").into());
        }
        if *took > limit {
            return Err(format!("{took:?} at best for {size} bytes, {limit:?} allowed").into());
        }
        run.figure("opened-us", took.as_secs_f64() * 1e6, "us");
        run.figure("heap-peak", *heap as f64, "bytes");
        let again = open(&path)?;
        match again.text == *text {
            true => Ok(()),
            false => {
                Err(format!("two attempts, two answers:\n    {text}\n    {}", again.text).into())
            }
        }
    }
}
