//! The project's files as (path, text), read once. Knows `.gitignore`, because what git ignores is
//! not part of the project; knows no rule.

use harness::roots;
use std::path::Path;
use std::sync::OnceLock;

/// One file. Paths are relative to the root and use `/`.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) path: String,
    /// Empty for a file that is not UTF-8.
    pub(super) text: String,
    pub(super) bytes: u64,
}

impl File {
    pub(super) fn new(path: &str, text: impl Into<String>) -> Self {
        let text = text.into();
        let bytes = text.len() as u64;
        File { path: path.into(), text, bytes }
    }

    /// `rs`, `sh` …; a script without an extension counts by its first line.
    pub(super) fn language(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or("");
        match name.rsplit_once('.') {
            Some((stem, extension)) if !stem.is_empty() => extension,
            _ if self.text.starts_with("#!") && self.text.contains("sh\n") => "sh",
            _ => "",
        }
    }
}

/// A set of files: the project, or an example made up to break a rule.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    pub(super) files: Vec<File>,
}

impl Tree {
    pub(super) fn of(files: Vec<File>) -> Self {
        Tree { files }
    }

    pub(super) fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether `path` names a file or a folder.
    pub(super) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let inside = |file: &File| {
            let rest = file.path.strip_prefix(path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.files.iter().any(inside)
    }

    pub(super) fn under<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.path.starts_with(folder))
    }
}

/// The project as it lies on the disk.
pub(super) fn project() -> Result<&'static Tree, String> {
    static TREE: OnceLock<Result<Tree, String>> = OnceLock::new();
    let tree = TREE.get_or_init(|| read(&roots::project()));
    tree.as_ref().map_err(Clone::clone)
}

fn read(root: &Path) -> Result<Tree, String> {
    let ignored = match std::fs::read_to_string(root.join(".gitignore")) {
        Ok(text) => Ignored::parse(&text)?,
        Err(e) => return Err(format!("{}/.gitignore: {e}", root.display())),
    };
    let mut tree = Tree::default();
    walk(root, "", &ignored, &mut tree)?;
    match tree.files.is_empty() {
        true => Err(format!("{}: no files, so nothing to judge", root.display())),
        false => Ok(tree),
    }
}

fn walk(root: &Path, folder: &str, ignored: &Ignored, tree: &mut Tree) -> Result<(), String> {
    let at = root.join(folder);
    let entries = std::fs::read_dir(&at).map_err(|e| format!("{}: {e}", at.display()))?;
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    for name in names {
        let path = match folder {
            "" => name.clone(),
            _ => format!("{folder}/{name}"),
        };
        if ignored.covers(&path) {
            continue;
        }
        let full = root.join(&path);
        if full.is_dir() {
            walk(root, &path, ignored, tree)?;
            continue;
        }
        let bytes = std::fs::read(&full).map_err(|e| format!("{}: {e}", full.display()))?;
        tree.files.push(File {
            path,
            bytes: bytes.len() as u64,
            text: String::from_utf8(bytes).unwrap_or_default(),
        });
    }
    Ok(())
}

/// The two kinds of pattern our `.gitignore` uses: `/anchored/path` and `*.ending` or `name`.
struct Ignored {
    anchored: Vec<String>,
    endings: Vec<String>,
}

impl Ignored {
    fn parse(text: &str) -> Result<Self, String> {
        let (mut anchored, mut endings) = (vec![".git".to_owned()], Vec::new());
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(path) = line.strip_prefix('/') {
                anchored.push(path.trim_end_matches('/').to_owned());
            } else {
                endings.push(line.trim_start_matches('*').trim_end_matches('/').to_owned());
            }
        }
        match anchored.iter().chain(&endings).find(|p| p.contains('*')) {
            Some(pattern) => Err(format!(
                ".gitignore: '{pattern}' is a pattern that tidy cannot read; keep them simple"
            )),
            None => Ok(Ignored { anchored, endings }),
        }
    }

    fn covers(&self, path: &str) -> bool {
        self.anchored.iter().any(|anchored| anchored == path)
            || self.endings.iter().any(|ending| path.ends_with(ending))
    }
}
