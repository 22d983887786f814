//! `worker-orcd` as a process of its own, started out of the suite's own binary: cargo does not
//! build another package's binaries for a test, and a suite that was carried to another machine has
//! nothing but itself. Real exit codes, real streams, and no terminal whose width could matter.

use harness::Failure;
use std::ffi::{OsStr, OsString};
use std::io::{BufWriter, stderr, stdout};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// First argument of a process that is to be the worker.
const SWITCH: &str = "--as-worker-orcd";

/// First in `main` of every binary that runs cases: becomes the worker if this process is one.
pub fn become_if_asked() -> Option<ExitCode> {
    if std::env::args_os().nth(1)? != SWITCH {
        return None;
    }
    let arguments = std::env::args_os().skip(2);
    let arguments = std::iter::once(OsString::from("worker-orcd")).chain(arguments);
    let mut out = BufWriter::new(stdout().lock());
    Some(ExitCode::from(engine::cli::run(arguments, &mut out, &mut stderr().lock())))
}

/// How a worker ended.
#[derive(Debug)]
pub struct Finished {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub out: String,
    /// What it wrote to standard error.
    pub err: String,
}

impl Finished {
    /// Standard output, if the worker ended with `code` and wrote nothing to standard error.
    pub fn quiet(self, code: i32) -> Result<String, Failure> {
        match self.code == Some(code) && self.err.is_empty() {
            true => Ok(self.out),
            false => Err(format!("wanted exit code {code} and a silent stderr: {self:?}").into()),
        }
    }

    /// Standard error, if the worker ended with `code` and wrote nothing to standard output.
    pub fn refused(self, code: i32) -> Result<String, Failure> {
        match self.code == Some(code) && self.out.is_empty() {
            true => Ok(self.err),
            false => Err(format!("wanted exit code {code} and a silent stdout: {self:?}").into()),
        }
    }
}

/// Runs `worker-orcd ARGUMENTS…` in `folder` to its end. Files named relative to it read the same
/// in every run.
pub fn run<S: AsRef<OsStr>>(
    folder: &Path,
    arguments: impl IntoIterator<Item = S>,
) -> Result<Finished, Failure> {
    let output = Command::new(std::env::current_exe()?)
        .arg(SWITCH)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()?;
    Ok(Finished {
        code: output.status.code(),
        out: String::from_utf8(output.stdout)?,
        err: String::from_utf8(output.stderr)?,
    })
}
