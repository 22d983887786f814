//! Where the project stands on this machine. Knows folders, not what lies in them.

use crate::environment;
use std::path::{Path, PathBuf};

/// The project's root: `ORCD_ROOT` where the suite runs from an archive or on another machine,
/// else cargo's own word, else the first folder upwards that holds `vectors`.
pub fn project() -> PathBuf {
    if let Some(root) = environment::path("ORCD_ROOT") {
        return root;
    }
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let here = manifest.or_else(|| std::env::current_dir().ok()).unwrap_or_default();
    let found = here.ancestors().find(|folder| folder.join("vectors").is_dir());
    found.map(Path::to_path_buf).unwrap_or(here)
}
