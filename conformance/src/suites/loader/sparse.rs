//! Large files that cost nothing, because they are mostly holes (X04, X05), and offsets that no
//! file has (X10).

use super::{Scratch, equal, format, refused};
use engine::error::Class;
use engine::loader::gguf::{Layout, Writer};
use engine::loader::{Gguf, check};
use harness::{Case, Failure, Run};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("loader::sparse::string-of-2-gib", string_of_2_gib),
        Case::new("loader::sparse::tensors-across-2-31-and-2-32", across),
        Case::new("loader::sparse::tensor-at-2-63", at_2_63),
        Case::new("loader::sparse::terabyte-cut-by-one-byte", terabyte),
        Case::new("loader::sparse::overlap-through-padding", overlap_through_padding),
        Case::new("loader::sparse::data-section-behind-the-end", behind_the_end),
    ]
}

/// A file that begins with `head` and is a hole up to `size`.
fn holes(path: &Path, head: &[u8], size: u64) -> Result<File, Failure> {
    let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
    file.write_all_at(head, 0)?;
    file.set_len(size)?;
    Ok(file)
}

fn string_of_2_gib(run: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let path = scratch.path("long.gguf");
    let length: u64 = (2 << 30) + 1;
    // One key "k" with one string, whose bytes are all there.
    let mut head = b"GGUF".to_vec();
    head.extend(3u32.to_le_bytes());
    head.extend(0u64.to_le_bytes());
    head.extend(1u64.to_le_bytes());
    head.extend(1u64.to_le_bytes());
    head.extend(b"k");
    head.extend(8u32.to_le_bytes());
    head.extend(length.to_le_bytes());
    holes(&path, &head, head.len() as u64 + length)?;
    let begin = Instant::now();
    refused(Gguf::open(&path), Class::StringTooLong, &["key \"k\"", "2147483649"])?;
    let ms = begin.elapsed().as_secs_f64() * 1e3;
    run.figure("refused after", ms, "ms");
    // Reading the string, even holes, takes a hundred times longer.
    if ms > 50.0 {
        return Err(format!("took {ms} ms: was the string read?").into());
    }
    Ok(())
}

/// Three I8 tensors of 1.5 GiB: the second lies across 2^31, the third across 2^32.
fn across_file(scratch: &Scratch) -> Result<(PathBuf, File, Layout), Failure> {
    let path = scratch.path("across.gguf");
    let mut writer = Writer::new();
    for name in ["a", "b", "c"] {
        writer.declare(name, format("I8")?, &[3 << 29]);
    }
    let (head, layout) = writer.head()?;
    let file = holes(&path, &head, head.len() as u64 + 3 * (3 << 29))?;
    Ok((path, file, layout))
}

fn across(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let (path, file, layout) = across_file(&scratch)?;
    let marks = [("b", 1u64 << 31), ("c", 1 << 32)];
    for (_, position) in marks {
        file.write_all_at(b"before|after", position - 7)?;
    }
    let gguf = Gguf::open(&path)?;
    for (name, position) in marks {
        let view = gguf.tensor(name).ok_or("no tensor")?;
        let range = layout.tensor(name).ok_or("no tensor")?.file_range();
        equal("lies across", range.contains(&(position - 7)) && range.contains(&position), true)?;
        let at = (position - 7 - range.start) as usize;
        equal(name, &view.data[at..at + 12], b"before|after")?;
    }
    // Integers cannot be NaN: nothing to look through, so nothing is read.
    equal("bytes scanned", check::gguf(&gguf, None)?.bytes, 0)
}

fn at_2_63(_: &mut Run) -> Result<(), Failure> {
    let i8s = format("I8")?;
    let near = (1u64 << 63) - 4096;
    let head = Writer::new().declare("a", i8s, &[near]).head()?.0;
    refused(Layout::parse(&head), Class::Truncated, &["tensor \"a\"", "9223372036854771"])?;
    let mut far = Writer::new();
    far.declare("a", i8s, &[near]).declare("b", i8s, &[4096]);
    refused(far.head(), Class::SizeOverflow, &["tensor \"b\"", "2^63 - 1"])
}

fn terabyte(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let path = scratch.path("huge.gguf");
    let (head, layout) = Writer::new().declare("a", format("I8")?, &[1 << 40]).head()?;
    let size = layout.tensors[0].file_range().end;
    match holes(&path, &head, size - 1) {
        // Some file systems have no files of this size; the layout can be judged without one.
        Err(_) => refused(Layout::parse_head(&head, size - 1), Class::Truncated, &["\"a\""]),
        Ok(file) => {
            refused(Gguf::open(&path), Class::Truncated, &["\"a\"", &(size - 1).to_string()])?;
            file.set_len(size)?;
            equal("size", Gguf::open(&path)?.tensors()[0].bytes, 1 << 40)
        }
    }
}

/// A head with two I8 tensors of 40 bytes, the second at `offset`.
fn two_tensors(offset: u64) -> Result<Vec<u8>, Failure> {
    let mut writer = Writer::new();
    writer.tensor("a", format("I8")?, &[40], [1; 40]).tensor("b", format("I8")?, &[40], [2; 40]);
    let mut bytes = writer.to_bytes()?;
    // Header 24; each info: name 8 + 1, dimensions 4 + 8, type 4, offset 8.
    let at = 24 + 33 + 25;
    equal("the offset in the file", bytes[at..at + 8].to_vec(), 64u64.to_le_bytes().to_vec())?;
    bytes[at..at + 8].copy_from_slice(&offset.to_le_bytes());
    Ok(bytes)
}

fn overlap_through_padding(_: &mut Run) -> Result<(), Failure> {
    Layout::parse(&two_tensors(64)?)?;
    // At 40 the data does not overlap, only the padding; at 32 the data does.
    for offset in [40, 32, 0, 96, 63, 65] {
        let words = ["tensor \"b\"", &format!("offset {offset} "), "wanted 64", "alignment 32"];
        refused(Layout::parse(&two_tensors(offset)?), Class::BadOffset, &words)?;
    }
    Ok(())
}

fn behind_the_end(_: &mut Run) -> Result<(), Failure> {
    let mut writer = Writer::new();
    writer.set("general.alignment", 1u32 << 20).tensor("a", format("I8")?, &[1], [1]);
    let bytes = writer.to_bytes()?;
    equal("size", bytes.len(), 2 << 20)?;
    // The head ends long before the data section would begin.
    refused(Layout::parse(&bytes[..200]), Class::Truncated, &["\"a\"", "1048576", "200"])
}
