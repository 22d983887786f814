//! Recordings on disk: written, compared, explained. Knows paths and bytes, not what they mean.

use crate::Result;
use crate::alike::{alike, open_eyes};
use crate::area::{Area, Recording};
use crate::digest::sha256;
use crate::manifest::{Entry, Manifest};
use crate::safetensors;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// `golden/`, where this package itself stands.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Provenance of areas whose last bits may depend on the machine.
pub(crate) const MACHINE: &str = "machine";

fn manifest_path() -> PathBuf {
    root().join("MANIFEST.toml")
}

fn entry(recording: &Recording) -> Result<Entry> {
    let mut inputs = BTreeMap::new();
    for path in &recording.inputs {
        let bytes = fs::read(root().join(path)).map_err(|error| format!("{path}: {error}"))?;
        inputs.insert(path.clone(), sha256(&bytes));
    }
    let digest = |(path, bytes): (&String, &Vec<u8>)| (path.clone(), sha256(bytes));
    let files = recording.files.iter().map(digest).collect();
    Ok(Entry { provenance: recording.provenance.clone(), inputs, files })
}

/// Files that lie in the area's folder now, relative to `golden/`.
fn present(area: &Area) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut folders = vec![root().join(&area.name)];
    while let Some(folder) = folders.pop().filter(|folder| folder.is_dir()) {
        for item in fs::read_dir(folder)? {
            let path = item?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(relative(&path)?);
            }
        }
    }
    Ok(found)
}

fn relative(path: &Path) -> Result<String> {
    let inside = path.strip_prefix(root())?;
    Ok(inside.to_str().ok_or_else(|| format!("{} is no UTF-8", path.display()))?.into())
}

/// `golden regen`.
pub(crate) fn write(area: &Area) -> Result<bool> {
    let recording = (area.record)()?;
    for stale in present(area)?.iter().filter(|path| !recording.files.contains_key(*path)) {
        fs::remove_file(root().join(stale))?;
        println!("{}: removed {stale}", area.name);
    }
    for (path, bytes) in &recording.files {
        let path = root().join(path);
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        fs::write(path, bytes)?;
    }
    let mut manifest = Manifest::read(&manifest_path())?;
    manifest.0.insert(area.name.clone(), entry(&recording)?);
    fs::write(manifest_path(), manifest.text()?)?;
    let total: usize = recording.files.values().map(Vec::len).sum();
    println!("{}: {} files, {total} bytes", area.name, recording.files.len());
    Ok(true)
}

/// `golden verify`: one line a difference.
pub(crate) fn verify(area: &Area) -> Result<bool> {
    let recording = (area.record)()?;
    let differences = compare(area, &recording)?;
    for (path, difference) in &differences {
        println!("{path}: {difference}");
    }
    let fine = differences.is_empty();
    println!("{}: {}", area.name, if fine { "as recorded" } else { "DIFFERENT" });
    Ok(fine)
}

/// `golden diff`: like `verify`, and looks inside.
pub(crate) fn diff(area: &Area) -> Result<bool> {
    let recording = (area.record)()?;
    let differences = compare(area, &recording)?;
    for (path, difference) in &differences {
        println!("{path}: {difference}");
        let old = fs::read(root().join(path)).unwrap_or_default();
        let new = recording.files.get(path).cloned().unwrap_or_default();
        explain(path, &old, &new).iter().for_each(|line| println!("    {line}"));
    }
    Ok(differences.is_empty())
}

fn compare(area: &Area, recording: &Recording) -> Result<BTreeMap<String, &'static str>> {
    let present = present(area)?;
    let mut manifest = Manifest::read(&manifest_path())?;
    let (mut is, mut wanted) = (entry(recording)?, manifest.0.remove(&area.name));
    // An area that names its machine is compared with tolerance on another one.
    let machine = |entry: &mut Entry| entry.provenance.remove(MACHINE);
    let elsewhere = match (machine(&mut is), wanted.as_mut().and_then(machine)) {
        (Some(here), Some(there)) if here != there => {
            println!("{}: recorded on {there}; here is {here}", area.name);
            open_eyes()?;
            true
        }
        _ => false,
    };
    let mut found = BTreeMap::new();
    for path in present.iter().filter(|path| !recording.files.contains_key(*path)) {
        found.insert(path.clone(), "is there, but is not recorded any more");
    }
    for (path, bytes) in &recording.files {
        if !present.contains(path) {
            found.insert(path.clone(), "is missing");
            continue;
        }
        let recorded = fs::read(root().join(path))?;
        if recorded != *bytes && !(elsewhere && alike(path, &recorded, bytes)) {
            found.insert(path.clone(), "differs");
        }
    }
    if elsewhere {
        // The digests of this machine's bytes are its own.
        is.files.clear();
        wanted.iter_mut().for_each(|wanted| wanted.files.clear());
    }
    if wanted != Some(is) {
        found.insert("MANIFEST.toml".into(), "has other words for this area");
    }
    Ok(found)
}

/// Where two versions of a file differ, at most a screenful.
fn explain(path: &str, old: &[u8], new: &[u8]) -> Vec<String> {
    const SHOWN: usize = 20;
    let mut lines = if path.ends_with(".safetensors") {
        explain_tensors(old, new).unwrap_or_else(|error| vec![format!("unreadable: {error}")])
    } else {
        explain_text(&String::from_utf8_lossy(old), &String::from_utf8_lossy(new))
    };
    if lines.len() > SHOWN {
        let more = lines.len() - SHOWN;
        lines.truncate(SHOWN);
        lines.push(format!("… and {more} more"));
    }
    lines
}

fn explain_tensors(old: &[u8], new: &[u8]) -> Result<Vec<String>> {
    let (old, new) = (safetensors::File::read(old)?, safetensors::File::read(new)?);
    let mut lines = Vec::new();
    for (key, value) in &new.metadata {
        if old.metadata.get(key) != Some(value) {
            lines.push(format!("{key}: {:?} → {value:?}", old.metadata.get(key)));
        }
    }
    for (name, tensor) in &new.tensors {
        let Some(before) = old.tensors.get(name) else {
            lines.push(format!("{name}: new tensor"));
            continue;
        };
        if before.shape != tensor.shape {
            lines.push(format!("{name}: shape {:?} → {:?}", before.shape, tensor.shape));
        } else if before != tensor {
            let width = safetensors::width(&tensor.dtype);
            let pairs = before.data.chunks(width).zip(tensor.data.chunks(width));
            let bad: Vec<_> = pairs.enumerate().filter(|(_, (a, b))| a != b).collect();
            let (first, (a, b)) = bad[0];
            lines.push(format!("{name}: {} elements; [{first}] {a:02x?} → {b:02x?}", bad.len()));
        }
    }
    Ok(lines)
}

fn explain_text(old: &str, new: &str) -> Vec<String> {
    let (mut old, mut new) = (old.lines(), new.lines());
    let mut lines = Vec::new();
    for number in 1.. {
        match (old.next(), new.next()) {
            (None, None) => break,
            (before, after) if before == after => {}
            (before, after) => {
                before.iter().for_each(|line| lines.push(format!("{number} - {line}")));
                after.iter().for_each(|line| lines.push(format!("{number} + {line}")));
            }
        }
    }
    lines
}
