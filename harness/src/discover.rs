//! Finds vector files and gives them their names. Knows folders and names, not what a file means.
//! Whatever is not as it should be comes back as an error that names the place, never as silence.

use std::fs;
use std::path::{Path, PathBuf};

/// Beside the vectors: derived JSON Schemas, not vectors.
pub const SCHEMA_FOLDER: &str = "schema";

/// One place under the vectors folder: a file's text, or what is wrong there.
#[derive(Debug)]
pub struct Found {
    /// The name that cases of this file start with, e.g. `vectors::mxfp4::dequant`.
    pub name: String,
    /// The file or folder.
    pub path: PathBuf,
    /// The file's text.
    pub text: Result<String, String>,
}

/// All vector files under `root`, sorted by name. An empty folder, a stray file and an
/// unreadable one are found too, as errors.
pub fn vector_files(root: &Path) -> Vec<Found> {
    let mut found = Vec::new();
    walk(root, "vectors", &mut found);
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn walk(folder: &Path, name: &str, found: &mut Vec<Found>) {
    let mut wrong = |path: &Path, what: String| {
        found.push(Found {
            name: name.into(),
            path: path.into(),
            text: Err(format!("{}: {what}", path.display())),
        });
    };
    let entries: Result<Vec<_>, _> = match fs::read_dir(folder) {
        Ok(entries) => entries.collect(),
        Err(error) => return wrong(folder, format!("cannot be listed: {error}")),
    };
    let entries = match entries {
        Ok(entries) => entries,
        Err(error) => return wrong(folder, format!("cannot be listed: {error}")),
    };
    let mut vectors = 0;
    for path in entries.into_iter().map(|entry| entry.path()) {
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or("");
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        match extension {
            "" if path.is_dir() && stem == SCHEMA_FOLDER => {}
            "" if path.is_dir() => {
                vectors += 1;
                walk(&path, &format!("{name}::{stem}"), found);
            }
            "toml" => {
                vectors += 1;
                found.push(Found {
                    name: format!("{name}::{stem}"),
                    text: fs::read_to_string(&path)
                        .map_err(|error| format!("{}: {error}", path.display())),
                    path,
                });
            }
            "md" => {}
            _ => found.push(Found {
                name: name.into(),
                text: Err(format!(
                    "{}: neither a vector file (.toml) nor a folder",
                    path.display()
                )),
                path,
            }),
        }
    }
    if vectors == 0 {
        found.push(Found {
            name: name.into(),
            path: folder.into(),
            text: Err(format!(
                "{}: no vector file in this folder, so it checks nothing",
                folder.display()
            )),
        });
    }
}
