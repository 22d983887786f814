//! Compiled kernels kept on disk, so that each is compiled once a machine. Knows keys and bytes. An
//! entry that is not exactly what was written is compiled again; nothing here can make a run fail.

use super::sources::sha256;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Length of a digest in hexadecimal, which every entry starts with.
const DIGEST: usize = 64;

/// A folder of entries.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The user's cache: under `XDG_CACHE_HOME`, else under `.cache` at home. `None` if there is no
    /// home either; kernels are then compiled at each start.
    pub fn of_user() -> Option<Cache> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
        let root = absolute("XDG_CACHE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
        Some(Cache::at(root.join("worker-orcd/kernels")))
    }

    /// A cache in `folder`, which need not exist yet.
    pub fn at(folder: impl Into<PathBuf>) -> Cache {
        Cache { folder: folder.into() }
    }

    /// Where the entry for `key` lies.
    pub fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.kernel"))
    }

    /// What was stored for `key`, if it is there and whole.
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        let mut entry = fs::read(self.path(key)).ok()?;
        let digest = entry.get(..DIGEST)?.to_vec();
        let image = entry.split_off(DIGEST);
        (sha256(&image).as_bytes() == digest).then_some(image)
    }

    /// Stores `image` for `key`, whole or not at all: a reader, or a crash, sees the old entry or
    /// the new one. Whether it worked is told, and no caller has to mind.
    pub fn put(&self, key: &str, image: &[u8]) -> bool {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.folder.join(format!("{key}.{}.{number}", std::process::id()));
        let entry = [sha256(image).as_bytes(), image].concat();
        let stored = fs::create_dir_all(&self.folder)
            .and_then(|()| fs::write(&unfinished, entry))
            .and_then(|()| fs::rename(&unfinished, self.path(key)));
        if stored.is_err() {
            remove(&unfinished);
        }
        stored.is_ok()
    }
}

fn remove(path: &Path) {
    // What cannot be removed was most likely never made.
    let _ = fs::remove_file(path);
}
