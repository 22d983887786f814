//! Texts and ids that a command is given: from a file or from standard input.

use crate::error::{Error, Result, shown};
use std::io::{Read, stdin};
use std::path::Path;

/// All of a file; `-` is standard input.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    match path.as_os_str() == "-" {
        true => standard_input(),
        false => std::fs::read(path).map_err(|source| Error::io("read", path, source)),
    }
}

/// All of standard input.
pub(super) fn standard_input() -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let read = stdin().lock().read_to_end(&mut text);
    read.map_err(|source| Error::io("read", "standard input", source))?;
    Ok(text)
}

/// What `tokenize --json` prints.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Ids {
    ids: Vec<u32>,
}

/// Ids as people and programs write them: `1,2,3`, `1 2 3`, `[1, 2, 3]`, `{"ids":[1,2,3]}`.
pub(super) fn ids(text: &str) -> Result<Vec<u32>> {
    let text = text.trim();
    if text.starts_with('{') {
        let read = serde_json::from_str::<Ids>(text);
        return read.map(|read| read.ids).map_err(|error| Error::Usage(format!("--ids: {error}")));
    }
    let list = text.strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or(text);
    let numbers = list.split(|c: char| c == ',' || c.is_whitespace()).filter(|id| !id.is_empty());
    numbers
        .map(|id| {
            let is_number = id.bytes().all(|byte| byte.is_ascii_digit());
            let why = match is_number {
                true => format!("is beyond {}, the largest number an id can be", u32::MAX),
                false => "is no token id; wanted 1,2,3".into(),
            };
            id.parse().map_err(|_| Error::Usage(format!("--ids: {} {why}", shown(id))))
        })
        .collect()
}
