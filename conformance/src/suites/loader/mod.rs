//! `loader::` the containers beyond attack files: what the writer promises, typed metadata, split
//! models, safetensors, files that change or are no files, the scan of the data, and the contract
//! of the command line.

mod change;
mod command;
mod inspect;
mod metadata;
mod odd;
mod round_trip;
mod safetensors;
mod scan;
mod sparse;
mod speed;
mod split;

pub(in crate::suites) use safetensors::FileVector;

use engine::error::{Class, Error};
use engine::loader::gguf::Writer;
use engine::quant::{self, Format};
use harness::{Case, Failure};
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// All cases.
pub(super) fn cases() -> Vec<Case> {
    [
        change::cases(),
        command::cases(),
        inspect::cases(),
        metadata::cases(),
        odd::cases(),
        round_trip::cases(),
        safetensors::cases(),
        scan::cases(),
        sparse::cases(),
        speed::cases(),
        split::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A folder that goes away with the case.
struct Scratch(TempDir);

impl Scratch {
    fn new() -> Result<Scratch, Failure> {
        Ok(Scratch(TempDir::new()?))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, Failure> {
        let path = self.path(name);
        std::fs::write(&path, bytes)?;
        Ok(path)
    }
}

/// The format named `name`.
fn format(name: &str) -> Result<&'static Format, Failure> {
    quant::by_name(name).ok_or_else(|| format!("no format {name}").into())
}

/// A small file: one key, two F32 tensors.
fn small() -> Result<Writer, Failure> {
    let f32s = format("F32")?;
    let mut writer = Writer::new();
    writer.set("general.architecture", "llama");
    writer.tensor("first", f32s, &[4, 2], numbers(8));
    writer.tensor("second", f32s, &[3], numbers(3));
    Ok(writer)
}

/// `count` F32 numbers as bytes: 0.5, 1.5, …
fn numbers(count: usize) -> Vec<u8> {
    (0..count).flat_map(|n| (n as f32 + 0.5).to_le_bytes()).collect()
}

/// Demands a refusal of a class, on one line, that says all of `words`.
fn refused<T: Debug>(
    result: Result<T, Error>,
    class: Class,
    words: &[&str],
) -> Result<(), Failure> {
    match result {
        Ok(value) => Err(format!("accepted, wanted {class}: {value:?}").into()),
        Err(e) if e.class() == Some(class) => says(&e.to_string(), words),
        Err(e) => Err(format!("wanted {class}, got: {e}").into()),
    }
}

fn says(text: &str, words: &[&str]) -> Result<(), Failure> {
    if text.chars().any(char::is_control) {
        return Err(format!("the message has control characters: {text:?}").into());
    }
    match words.iter().find(|word| !text.contains(**word)) {
        Some(word) => Err(format!("the message lacks {word:?}: {text}").into()),
        None => Ok(()),
    }
}

/// Demands an error of the operating system with number `errno`.
fn io<T: Debug>(result: Result<T, Error>, errno: i32, words: &[&str]) -> Result<(), Failure> {
    match result {
        Err(Error::Io { ref source, .. }) if source.raw_os_error() == Some(errno) => {
            says(&result.err().map_or(String::new(), |e| e.to_string()), words)
        }
        other => Err(format!("wanted os error {errno}, got {other:?}").into()),
    }
}

fn equal<T: PartialEq + Debug>(what: &str, found: T, wanted: T) -> Result<(), Failure> {
    if found == wanted {
        return Ok(());
    }
    Err(format!("{what}: found {found:?}, wanted {wanted:?}").into())
}

/// The command line in process: exit code, standard output, standard error.
fn command<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let program = std::ffi::OsString::from("worker-orcd");
    let arguments = arguments.iter().map(|argument| argument.as_ref().to_owned());
    let code = engine::cli::run(std::iter::once(program).chain(arguments), &mut out, &mut err);
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (code, text(out), text(err))
}

/// `inspect` on a file, with further arguments.
fn inspect_file(path: &Path, arguments: &[&str]) -> (u8, String, String) {
    let mut all = vec!["inspect".into(), path.as_os_str().to_owned()];
    all.extend(arguments.iter().map(Into::into));
    command(&all)
}
