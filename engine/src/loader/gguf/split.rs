//! Models in several files, `NAME-00001-of-0000N.gguf`: the first holds all metadata, each holds
//! some of the tensors, and keys under `split.` say which is which. Names and keys must agree:
//! a model put together from the wrong files would run, and talk nonsense.

use super::layout::Layout;
use super::metadata::Metadata;
use crate::error::{Class, Error, Result, shown};
use crate::loader::map::Mapped;
use crate::loader::names::NameIndex;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// What the `split.` keys of one file say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Keys {
    /// Which part this is, from 0.
    number: u16,
    /// How many parts there are.
    count: u16,
    /// How many tensors all parts have together.
    tensors: i32,
}

impl Keys {
    /// `None` for a model that is in one file.
    fn of(metadata: &Metadata) -> Result<Option<Keys>> {
        let Some(count) = metadata.opt_u16("split.count").map_err(as_split)? else {
            return match metadata.contains("split.no") {
                true => Err(refused("key \"split.no\"", "there is no \"split.count\" beside it")),
                false => Ok(None),
            };
        };
        if count < 2 {
            return Ok(None);
        }
        let number = metadata.u16("split.no").map_err(as_split)?;
        let tensors = metadata.i32("split.tensors.count").map_err(as_split)?;
        Ok(Some(Keys { number, count, tensors }))
    }
}

/// Proves one file.
pub(super) fn prove(mapped: Mapped) -> Result<(Mapped, Layout)> {
    let layout = Layout::parse(mapped.bytes()).map_err(|e| e.in_file(mapped.path()));
    // Whatever was read of a file that changed meanwhile means nothing.
    mapped.verify_unchanged()?;
    Ok((mapped, layout?))
}

/// Opens the parts that follow `first`, if it is the first of several, and gives all tensors to
/// its layout. The result is the parts in order.
pub(super) fn follow(first: Mapped, layout: &mut Layout) -> Result<Vec<Mapped>> {
    let path = first.path().to_owned();
    let mut parts = vec![first];
    let in_first = |e: Error| e.in_file(&path);
    let Some(keys) = Keys::of(&layout.metadata).map_err(in_first)? else { return Ok(parts) };
    let stem = stem(&path, keys).map_err(in_first)?;
    for number in 1..keys.count {
        let path = part_path(&path, &stem, number, keys.count);
        let (mapped, part) =
            Mapped::open(&path).and_then(prove).map_err(|e| missing(e, &path, number, keys))?;
        check_part(&part, number, keys, &layout.metadata).map_err(|e| e.in_file(&path))?;
        layout.warnings.extend(part.warnings);
        layout.tensors.extend(part.tensors.into_iter().map(|mut tensor| {
            tensor.part = number;
            tensor
        }));
        parts.push(mapped);
    }
    layout.index = index(layout)?;
    if keys.tensors as i64 != layout.tensors.len() as i64 {
        let (found, count) = (layout.tensors.len(), keys.count);
        let detail = format!("{}, but the {count} parts hold {found} tensors", keys.tensors);
        return Err(in_first(refused("key \"split.tensors.count\"", &detail)));
    }
    Ok(parts)
}

/// The name before `-00001-of-0000N.gguf`, if `path` is the first part by key and by name.
fn stem(path: &Path, keys: Keys) -> Result<OsString> {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let Keys { number, count, .. } = keys;
    let suffix = |part: u16| format!("-{part:05}-of-{count:05}.gguf");
    let by_key = name.strip_suffix(suffix(number.saturating_add(1)).as_bytes());
    match (by_key, number) {
        (Some(stem), 0) => Ok(OsString::from_vec(stem.to_owned())),
        (Some(stem), _) => {
            let first = shown([stem, suffix(1).as_bytes()].concat());
            let part = u32::from(number) + 1;
            Err(refused("key \"split.no\"", &format!("part {part} of {count}: open {first}")))
        }
        (None, _) => {
            let wanted = suffix(number.saturating_add(1));
            let detail = format!(
                "split.no {number} and split.count {count} want a name that ends in {wanted}: was \
                 the file renamed?"
            );
            Err(refused("file name", &detail))
        }
    }
}

fn part_path(first: &Path, stem: &OsStr, number: u16, count: u16) -> PathBuf {
    let mut name = stem.to_owned();
    name.push(format!("-{:05}-of-{count:05}.gguf", u32::from(number) + 1));
    first.with_file_name(name)
}

fn check_part(part: &Layout, number: u16, first: Keys, metadata: &Metadata) -> Result<()> {
    let wanted = Keys { number, ..first };
    match Keys::of(&part.metadata)? {
        Some(keys) if keys == wanted => {}
        Some(keys) => {
            let detail = format!(
                "no {}, count {}, tensors.count {}; wanted {number}, {}, {}: is it a part of \
                 another model?",
                keys.number, keys.count, keys.tensors, first.count, first.tensors
            );
            return Err(refused("keys \"split.*\"", &detail));
        }
        None => return Err(refused("key \"split.count\"", "missing: not a part of a split model")),
    }
    // Parts after the first usually hold no other keys; what they hold must agree.
    for key in ["general.architecture", "general.name"] {
        let (ours, theirs) = (metadata.get(key), part.metadata.get(key));
        if let (Some(ours), Some(theirs)) = (ours, theirs)
            && ours != theirs
        {
            let detail = format!("{theirs}, but the first part has {ours}: another model?");
            return Err(refused(&format!("key \"{key}\""), &detail));
        }
    }
    Ok(())
}

fn index(layout: &Layout) -> Result<NameIndex> {
    let tensors = &layout.tensors;
    let mut index = NameIndex::with_capacity(tensors.len());
    for (position, tensor) in tensors.iter().enumerate() {
        let name_at = |at: u32| tensors[at as usize].name.as_bytes();
        if let Err(first) = index.insert(tensor.name.as_bytes(), position as u32, name_at) {
            let parts = (tensors[first as usize].part + 1, u32::from(tensor.part) + 1);
            let detail = format!("in part {} and again in part {}", parts.0, parts.1);
            return Err(refused(&tensor.place(), &detail));
        }
    }
    Ok(index)
}

fn refused(place: &str, detail: &str) -> Error {
    Error::refused(Class::BadSplit, place, detail)
}

/// A `split.` key of the wrong type, or missing beside the others, is a bad split.
fn as_split(e: Error) -> Error {
    match e {
        Error::Refused { place, detail, .. } => Error::refused(Class::BadSplit, place, detail),
        other => other,
    }
}

fn missing(e: Error, path: &Path, number: u16, keys: Keys) -> Error {
    match e {
        Error::Io { ref source, .. } if source.kind() == ErrorKind::NotFound => {
            let name = shown(path.as_os_str().as_encoded_bytes());
            let part = u32::from(number) + 1;
            let place = format!("part {part} of {}", keys.count);
            refused(&place, &format!("no file {name}: put all parts into one folder"))
        }
        other => other,
    }
}
