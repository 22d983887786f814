//! `cli::COMMAND::` — what the commands that compute print, write and refuse, on a small random
//! model. Runs them in process, as `engine::cli::run` is made for. Whether the numbers of the model
//! itself are right is asked elsewhere; here it is whether the commands pass them on.

mod bench;
mod demo;
mod logits;
mod perplexity;
mod run;
mod tokenizer;
mod toy;

use harness::{Case, Failure};
use serde_json::Value;
use std::ffi::OsString;

pub(super) fn cases() -> Vec<Case> {
    let areas = [
        bench::cases(),
        demo::cases(),
        logits::cases(),
        perplexity::cases(),
        run::cases(),
        tokenizer::cases(),
    ];
    areas.into_iter().flatten().collect()
}

/// How a command ended.
#[derive(Debug)]
struct Ended {
    code: u8,
    out: String,
    err: String,
}

/// Runs a command of `worker-orcd`.
fn call<S: AsRef<str>>(arguments: &[S]) -> Result<Ended, Failure> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let program = std::iter::once("worker-orcd");
    let arguments = program.chain(arguments.iter().map(AsRef::as_ref)).map(OsString::from);
    let code = engine::cli::run(arguments, &mut out, &mut err);
    Ok(Ended { code, out: String::from_utf8(out)?, err: String::from_utf8(err)? })
}

impl Ended {
    /// What it printed, if it ended well.
    fn fine(self) -> Result<Ended, Failure> {
        match self.code {
            0 => Ok(self),
            _ => Err(format!("ended with {}: {}{}", self.code, self.err, self.out).into()),
        }
    }

    /// The JSON it printed, alone on standard output.
    fn json(self) -> Result<Value, Failure> {
        let ended = self.fine()?;
        let read = serde_json::from_str(&ended.out);
        read.map_err(|e| format!("{e} in {:?}", ended.out).into())
    }

    /// Whether it ended with this code and said all of this, and nothing on standard output.
    fn refused(&self, code: u8, parts: &[&str]) -> Result<(), Failure> {
        if self.code != code || !self.out.is_empty() {
            return Err(format!("ended with {}, not {code}: {self:?}", self.code).into());
        }
        match parts.iter().find(|part| !self.err.contains(**part)) {
            None => Ok(()),
            Some(part) => Err(format!("said {:?}, not {part:?}", self.err).into()),
        }
    }
}

/// The whole numbers of an array.
fn ids(value: &Value) -> Result<Vec<u32>, Failure> {
    let list = value.as_array().ok_or_else(|| format!("{value} is no array"))?;
    let id = |value: &Value| value.as_u64().map(|id| id as u32).ok_or("not an id".into());
    list.iter().map(id).collect()
}

/// A number of a JSON object.
fn number(object: &Value, key: &str) -> Result<f64, Failure> {
    object[key].as_f64().ok_or_else(|| format!("{key} is {}", object[key]).into())
}

/// A command's arguments from words.
fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}
