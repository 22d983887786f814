//! `worker-orcd` and `judge` as processes of their own, started out of the suite's own binary:
//! cargo does not build another package's binaries for a test, and a suite that was carried to
//! another machine has nothing but itself. Real exit codes, real streams, and no terminal.

use crate::{judge, suites};
use harness::Failure;
use std::ffi::{OsStr, OsString};
use std::io::{BufWriter, Write, stderr, stdout};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// A program that this binary can become.
#[derive(Debug, Clone, Copy)]
pub enum Program {
    /// The engine's command line.
    Worker,
    /// The judge's.
    Judge,
    /// A process that loses its CUDA device, to be looked at from outside.
    LosesItsDevice,
}

impl Program {
    /// First argument of a process that is to be the program.
    fn switch(self) -> &'static str {
        match self {
            Program::Worker => "--as-worker-orcd",
            Program::Judge => "--as-judge",
            Program::LosesItsDevice => "--as-loses-its-device",
        }
    }
}

/// First in `main` of every binary that runs cases: becomes a program if this process is to be one.
pub fn become_if_asked() -> Option<ExitCode> {
    let asked = std::env::args_os().nth(1)?;
    let arguments = |name: &str| {
        std::iter::once(OsString::from(name)).chain(std::env::args_os().skip(2)).collect::<Vec<_>>()
    };
    if asked == Program::Worker.switch() {
        let mut out = BufWriter::new(stdout().lock());
        let code = engine::cli::run(arguments("worker-orcd"), &mut out, &mut stderr().lock());
        return Some(ExitCode::from(code));
    }
    if asked == Program::LosesItsDevice.switch() {
        return Some(suites::lose_the_device());
    }
    if asked == Program::Judge.switch() {
        return Some(judge::main(arguments("judge"), suites::all));
    }
    None
}

/// How a program ended.
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
    /// Standard output, if the program ended with `code` and wrote nothing to standard error.
    pub fn quiet(self, code: i32) -> Result<String, Failure> {
        match self.code == Some(code) && self.err.is_empty() {
            true => Ok(self.out),
            false => Err(format!("wanted exit code {code} and a silent stderr: {self:?}").into()),
        }
    }

    /// Standard error, if the program ended with `code` and wrote nothing to standard output.
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
    run_as(Program::Worker, folder, arguments)
}

/// The same, in an environment that `prepare` changes.
pub fn run_with<S: AsRef<OsStr>>(
    folder: &Path,
    arguments: impl IntoIterator<Item = S>,
    prepare: impl FnOnce(&mut Command),
) -> Result<Finished, Failure> {
    finished(Program::Worker, folder, arguments, b"", prepare)
}

/// Runs any of our programs in `folder` to its end.
pub fn run_as<S: AsRef<OsStr>>(
    program: Program,
    folder: &Path,
    arguments: impl IntoIterator<Item = S>,
) -> Result<Finished, Failure> {
    feed(program, folder, arguments, b"")
}

/// The same with something on standard input.
pub fn feed<S: AsRef<OsStr>>(
    program: Program,
    folder: &Path,
    arguments: impl IntoIterator<Item = S>,
    input: &[u8],
) -> Result<Finished, Failure> {
    finished(program, folder, arguments, input, |_| ())
}

fn finished<S: AsRef<OsStr>>(
    program: Program,
    folder: &Path,
    arguments: impl IntoIterator<Item = S>,
    input: &[u8],
    prepare: impl FnOnce(&mut Command),
) -> Result<Finished, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg(program.switch())
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    prepare(&mut command);
    let mut child = command.spawn()?;
    // Small enough for the pipe, so that nobody waits for the other; a program that reads nothing
    // has closed it.
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(input);
    }
    let output = child.wait_with_output()?;
    Ok(Finished {
        code: output.status.code(),
        out: String::from_utf8(output.stdout)?,
        err: String::from_utf8(output.stderr)?,
    })
}
