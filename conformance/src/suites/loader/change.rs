//! Files that change while they are mapped (X06, X07): an error, never a signal.

use super::{Scratch, equal, format, inspect_file, refused, small};
use engine::error::Class;
use engine::loader::gguf::Writer;
use engine::loader::map::Mapped;
use engine::loader::{Gguf, check};
use harness::{Case, Failure, Run};
use std::fs::{File, OpenOptions};
use std::io::{Seek, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("loader::change::truncated-and-read", truncated_and_read),
        Case::new("loader::change::truncated-under-two-mappings", two_mappings),
        Case::new("loader::change::truncated-during-scan", truncated_during_scan),
        Case::new("loader::change::truncated-under-read-at", truncated_under_read_at),
        Case::new("loader::change::overwritten-in-place", overwritten_in_place),
        Case::new("loader::change::grown", grown),
        Case::new("loader::change::replaced-by-rename-is-harmless", replaced_by_rename),
        Case::new("loader::change::metadata-survives", metadata_survives),
    ]
}

/// One F32 tensor of 8 MiB, all 1.0.
const ELEMENTS: usize = 2 << 20;

fn large(scratch: &Scratch) -> Result<std::path::PathBuf, Failure> {
    let path = scratch.path("large.gguf");
    let mut writer = Writer::new();
    writer.tensor("t", format("F32")?, &[ELEMENTS as u64], 1f32.to_le_bytes().repeat(ELEMENTS));
    writer.write(&path)?;
    Ok(path)
}

fn cut(path: &Path, size: u64) -> Result<(), Failure> {
    Ok(OpenOptions::new().write(true).open(path)?.set_len(size)?)
}

/// Changes are told apart by the modification time; give them one that surely differs, because
/// file systems count time in steps of several milliseconds.
fn age(path: &Path) -> Result<(), Failure> {
    let file = File::options().write(true).open(path)?;
    Ok(file.set_modified(SystemTime::now() - Duration::from_secs(3600))?)
}

fn truncated_and_read(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let path = large(&scratch)?;
    let file = Gguf::open(&path)?;
    file.verify_unchanged()?;
    cut(&path, 4096 + 100)?;
    let data = file.tensor("t").ok_or("no tensor t")?.data;
    // Every page behind the end would raise SIGBUS; they read as zeros.
    let zeros = data.iter().filter(|byte| **byte == 0).count();
    equal("the last bytes", &data[data.len() - 4096..], &[0u8; 4096])?;
    if zeros < data.len() - 8192 {
        return Err(format!("only {zeros} of {} bytes are gone", data.len()).into());
    }
    refused(file.verify_unchanged(), Class::FileChanged, &["large.gguf", "4196 now"])?;
    // Made as long as before, the size no longer tells, but the time does.
    cut(&path, data.len() as u64 + 4096)?;
    refused(file.verify_unchanged(), Class::FileChanged, &["large.gguf"])
}

fn two_mappings(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let path = large(&scratch)?;
    let files = [Gguf::open(&path)?, Gguf::open(&path)?, Gguf::open(&path)?];
    cut(&path, 0)?;
    std::thread::scope(|scope| {
        for file in &files {
            scope
                .spawn(|| {
                    file.tensor("t").map(|view| view.data.iter().map(|b| u64::from(*b)).sum())
                })
                .join()
                .map_err(|_| "reading panicked")
                .and_then(
                    |sum: Option<u64>| if sum == Some(0) { Ok(()) } else { Err("not zero") },
                )?;
        }
        Ok::<(), &str>(())
    })?;
    for file in &files {
        refused(file.verify_unchanged(), Class::FileChanged, &["has 0 now"])?;
    }
    Ok(())
}

fn truncated_during_scan(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let path = large(&scratch)?;
    let file = Gguf::open(&path)?;
    cut(&path, 1 << 20)?;
    refused(check::gguf(&file, None), Class::FileChanged, &["1048576 now"])?;
    // Opened now, it is simply a cut file.
    let (code, out, err) = inspect_file(&path, &["--check"]);
    equal("exit code", code, 3)?;
    equal("standard output", out, String::new())?;
    super::says(err.trim_end(), &["Truncated", "tensor \"t\""])
}

fn truncated_under_read_at(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let path = large(&scratch)?;
    let mapped = Mapped::open(&path)?;
    let mut bytes = [0; 4];
    mapped.read_at(0, &mut bytes)?;
    equal("magic", &bytes, b"GGUF")?;
    cut(&path, 100)?;
    refused(mapped.read_at(98, &mut bytes), Class::FileChanged, &["100 now"])
}

fn overwritten_in_place(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let path = large(&scratch)?;
    age(&path)?;
    let file = Gguf::open(&path)?;
    let mut writer = OpenOptions::new().write(true).open(&path)?;
    writer.seek(std::io::SeekFrom::End(-4))?;
    writer.write_all(&2f32.to_le_bytes())?;
    drop(writer);
    refused(file.verify_unchanged(), Class::FileChanged, &["large.gguf", "modified at"])
}

fn grown(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let path = scratch.path("small.gguf");
    small()?.write(&path)?;
    let file = Gguf::open(&path)?;
    File::options().append(true).open(&path)?.write_all(&[0])?;
    refused(file.verify_unchanged(), Class::FileChanged, &["small.gguf"])
}

fn replaced_by_rename(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let path = scratch.path("small.gguf");
    small()?.write(&path)?;
    let file = Gguf::open(&path)?;
    let before = file.tensor("first").ok_or("no tensor")?.data.to_vec();
    // Our writer replaces files this way, so a model in use may be replaced.
    Writer::new().write(&path)?;
    file.verify_unchanged()?;
    equal("data", file.tensor("first").ok_or("no tensor")?.data, &before)
}

fn metadata_survives(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let path = scratch.path("small.gguf");
    small()?.write(&path)?;
    let file = Gguf::open(&path)?;
    cut(&path, 0)?;
    // Keys and names were copied; only tensor data is read in place.
    equal("architecture", file.metadata().str("general.architecture")?, "llama")?;
    equal("name", &*file.tensors()[1].name, "second")
}
