//! The contract of the command line: exit codes, one line on stderr, help that teaches.

use super::{Scratch, command, equal, inspect_file, says, small};
use crate::worker;
use harness::{Case, Failure, Run};
use std::io::{self, ErrorKind, Write};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("loader::command::exit-codes", exit_codes),
        Case::new("loader::command::refusal-is-one-line", refusal_is_one_line),
        Case::new("loader::command::help-and-version", help_and_version),
        Case::new("loader::command::every-command-has-examples", every_command_has_examples),
        Case::new("loader::command::broken-pipe-is-quiet", broken_pipe),
        Case::new("loader::command::full-disk-is-an-error", full_disk),
        Case::new("loader::command::process", process),
    ]
}

fn exit_codes(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let path = scratch.path("m.gguf");
    small()?.write(&path)?;
    equal("a sound file", inspect_file(&path, &[]).0, 0)?;
    equal("checked", inspect_file(&path, &["--check"]).0, 0)?;
    equal("an unknown flag", inspect_file(&path, &["--nonsense"]).0, 2)?;
    equal("threads 0", inspect_file(&path, &["--check", "--threads", "0"]).0, 2)?;
    equal("no file named", command(&["inspect"]).0, 0)?;
    equal("no such command", command(&["nonsense"]).0, 2)?;
    equal("no command", command::<&str>(&[]).0, 2)?;
    equal("no such file", inspect_file(&scratch.path("none"), &[]).0, 1)?;
    equal("a folder", inspect_file(scratch.0.path(), &[]).0, 1)?;
    equal("no model", inspect_file(&scratch.file("x", b"x")?, &[]).0, 3)?;
    equal("empty", inspect_file(&scratch.file("empty", b"")?, &["--json"]).0, 3)
}

fn refusal_is_one_line(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let path = scratch.file("bad\nname.gguf", b"<!DOCTYPE html><title>404</title>")?;
    let (code, out, err) = inspect_file(&path, &[]);
    equal("exit code", code, 3)?;
    equal("standard output", out, String::new())?;
    equal("ends with a line break", err.ends_with('\n'), true)?;
    let words = ["BadMagic", "byte 0", "wanted \"GGUF\"", "HTML", "bad\\nname.gguf"];
    says(err.trim_end_matches('\n'), &words)
}

fn help_and_version(_: &mut Run) -> Result<(), Failure> {
    let (code, out, err) = command(&["--version"]);
    equal("exit code", code, 0)?;
    equal("standard error", err, String::new())?;
    equal("version", out, format!("worker-orcd {}\n", env!("CARGO_PKG_VERSION")))?;
    let (code, out, _) = command(&["--help"]);
    equal("exit code", code, 0)?;
    for word in ["inspect", "Exit codes", "Examples", "refused"] {
        equal(word, out.contains(word), true)?;
    }
    let (code, out, _) = command(&["inspect", "--help"]);
    equal("exit code", code, 0)?;
    for word in ["--json", "--check", "Examples", "\"offset\",\"bytes\"", "{\"bytes\":\"ff00\"}"] {
        equal(word, out.contains(word), true)?;
    }
    Ok(())
}

/// Whatever commands there will be.
fn every_command_has_examples(run: &mut Run) -> Result<(), Failure> {
    let (_, help, _) = command(&["--help"]);
    let commands = help.split("Commands:").nth(1).ok_or("no list of commands")?;
    let names = commands.lines().skip(1).take_while(|line| !line.is_empty());
    let names = names.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<&str> = names.filter_map(|line| line.split_whitespace().next()).collect();
    for name in names.iter().filter(|name| **name != "help") {
        let (code, help, _) = command(&[*name, "--help"]);
        equal(name, (code, help.contains("Examples:")), (0, true))?;
    }
    run.figure("commands", names.len() as f64, "");
    equal("inspect is among them", names.contains(&"inspect"), true)
}

struct Failing(ErrorKind);

impl Write for Failing {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(self.0.into())
    }
}

fn into_failing(kind: ErrorKind, arguments: &[&str]) -> Result<(u8, String), Failure> {
    let scratch = Scratch::new()?;
    let path = scratch.path("m.gguf");
    small()?.write(&path)?;
    let mut all = vec!["worker-orcd".into(), "inspect".into(), path.into_os_string()];
    all.extend(arguments.iter().map(Into::into));
    let mut err = Vec::new();
    let code = engine::cli::run(all, &mut Failing(kind), &mut err);
    Ok((code, String::from_utf8(err)?))
}

fn broken_pipe(_: &mut Run) -> Result<(), Failure> {
    for arguments in [&[][..], &["--json"], &["--tensors"], &["--help"]] {
        let found = into_failing(ErrorKind::BrokenPipe, arguments)?;
        equal("exit code and standard error", found, (0, String::new()))?;
    }
    Ok(())
}

fn full_disk(_: &mut Run) -> Result<(), Failure> {
    for arguments in [&[][..], &["--json"], &["--help"]] {
        let (code, err) = into_failing(ErrorKind::StorageFull, arguments)?;
        equal("exit code", code, 1)?;
        says(err.trim_end(), &["standard output"])?;
    }
    Ok(())
}

/// The same contract through a process of its own: real exit codes, real streams.
fn process(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    scratch.file("x.gguf", b"GGUF")?;
    let run = |arguments: &[&str]| worker::run(scratch.0.path(), arguments);
    let refused = run(&["inspect", "x.gguf"])?;
    equal("exit code", refused.code, Some(3))?;
    equal("standard output", refused.out, String::new())?;
    says(refused.err.trim_end(), &["Truncated", "version", "\"x.gguf\""])?;
    equal("exit code of --version", run(&["--version"])?.code, Some(0))?;
    equal("exit code of a wrong flag", run(&["inspect", "--nonsense"])?.code, Some(2))?;
    equal("exit code without a file", run(&["inspect", "none"])?.code, Some(1))
}
