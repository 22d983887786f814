//! Paths that are no model files (X08): the system's own error, at once.

use super::{Scratch, equal, inspect_file, io};
use engine::loader::Gguf;
use harness::{Case, Failure, Run};
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

// Linux numbers; the names are in errno(3).
const ENOENT: i32 = 2;
const ENXIO: i32 = 6;
const EACCES: i32 = 13;
const ENODEV: i32 = 19;
const EISDIR: i32 = 21;
const ESPIPE: i32 = 29;
const ENAMETOOLONG: i32 = 36;
const ELOOP: i32 = 40;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("loader::odd::missing", missing),
        Case::new("loader::odd::directory", directory),
        Case::new("loader::odd::fifo-does-not-wait", fifo),
        Case::new("loader::odd::devices", devices),
        Case::new("loader::odd::socket", socket),
        Case::new("loader::odd::symlinks", symlinks),
        Case::new("loader::odd::no-permission", no_permission),
        Case::new("loader::odd::paths", paths),
    ]
}

fn missing(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    io(Gguf::open(&scratch.path("none.gguf")), ENOENT, &["open", "none.gguf", "No such file"])?;
    let (code, out, err) = inspect_file(&scratch.path("none.gguf"), &[]);
    equal("exit code", code, 1)?;
    equal("standard output", out, String::new())?;
    equal("lines on standard error", err.lines().count(), 1)?;
    super::says(err.trim_end(), &["open", "none.gguf", "No such file"])
}

fn directory(_: &mut Run) -> Result<(), Failure> {
    io(Gguf::open(Path::new("/")), EISDIR, &["the directory \"/\"", "Is a directory"])
}

fn fifo(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let path = scratch.path("fifo.gguf");
    // std cannot make one.
    let made = std::process::Command::new("mkfifo").arg(&path).status()?;
    equal("mkfifo", made.success(), true)?;
    // Without O_NONBLOCK this would wait for a writer for ever.
    io(Gguf::open(&path), ESPIPE, &["the FIFO", "fifo.gguf"])
}

fn devices(_: &mut Run) -> Result<(), Failure> {
    for device in ["/dev/zero", "/dev/null"] {
        io(Gguf::open(Path::new(device)), ENODEV, &["the device", device])?;
    }
    Ok(())
}

fn socket(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let path = scratch.path("s.gguf");
    let _listener = std::os::unix::net::UnixListener::bind(&path)?;
    io(Gguf::open(&path), ENXIO, &["open", "s.gguf"])
}

fn symlinks(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let (a, b, c) = (scratch.path("a"), scratch.path("b"), scratch.path("c"));
    symlink(&a, &b)?;
    symlink(&b, &a)?;
    io(Gguf::open(&a), ELOOP, &["open"])?;
    symlink(scratch.path("nowhere"), &c)?;
    io(Gguf::open(&c), ENOENT, &["open"])?;
    super::small()?.write(&scratch.path("model.gguf"))?;
    symlink(scratch.path("model.gguf"), scratch.path("link.gguf"))?;
    equal("through a link", Gguf::open(&scratch.path("link.gguf"))?.tensors().len(), 2)
}

fn no_permission(run: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let path = scratch.file("secret.gguf", b"GGUF")?;
    fs::set_permissions(&path, Permissions::from_mode(0o000))?;
    if fs::File::open(&path).is_ok() {
        // The superuser may read everything; the same file is then merely a bad one.
        run.figure("permission denied could be tried", 0.0, "");
        return super::refused(Gguf::open(&path), engine::error::Class::Truncated, &["version"]);
    }
    run.figure("permission denied could be tried", 1.0, "");
    io(Gguf::open(&path), EACCES, &["open", "secret.gguf", "Permission denied"])
}

fn paths(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let folder = scratch.0.path();
    io(Gguf::open(&folder.join("n".repeat(4096))), ENAMETOOLONG, &["open", "…"])?;
    io(Gguf::open(&folder.join("new\nline")), ENOENT, &["new\\nline"])?;
    io(Gguf::open(&folder.join(OsStr::from_bytes(b"caf\xe9"))), ENOENT, &["caf\\xe9"])?;
    io(Gguf::open(Path::new("")), ENOENT, &["open \"\""])?;
    // A NUL never reaches the system.
    match Gguf::open(&folder.join("nul\0byte")) {
        Err(e) if e.class().is_none() => super::says(&e.to_string(), &["nul\\0byte"])?,
        other => return Err(format!("a path with NUL: {other:?}").into()),
    }
    let odd = folder.join(OsStr::from_bytes(b"caf\xe9\n.gguf"));
    super::small()?.write(&odd)?;
    equal("an odd name works", Gguf::open(&odd)?.tensors().len(), 2)
}
