//! What a run ran on, so that a figure can be read a year later. Asks the operating system, never
//! an accelerator.

use serde::{Deserialize, Serialize};
use std::path::Path;
use std::process::Command;

/// A machine and what was checked out on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Machine {
    /// Operating system and architecture, e.g. `linux-x86_64`.
    pub os: String,
    /// The processor's own name.
    pub cpu: String,
    /// Threads that run at once.
    pub threads: usize,
    /// Instruction sets that our kernels choose by.
    pub features: Vec<String>,
    /// Git revision, `+` behind it when files differ from it.
    pub revision: String,
    /// Version of the workspace's crates.
    pub version: String,
    /// `debug` (checks on) or `release`.
    pub profile: String,
}

impl Machine {
    /// This one. `root` is the checkout.
    pub fn here(root: &Path) -> Machine {
        Machine {
            os: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
            cpu: cpu(),
            threads: std::thread::available_parallelism().map_or(1, |threads| threads.get()),
            features: features(),
            revision: revision(root),
            version: env!("CARGO_PKG_VERSION").into(),
            profile: if cfg!(debug_assertions) { "debug" } else { "release" }.into(),
        }
    }
}

fn cpu() -> String {
    if let Ok(text) = std::fs::read_to_string("/proc/cpuinfo") {
        let named = text.lines().find(|line| line.starts_with("model name"));
        if let Some((_, name)) = named.and_then(|line| line.split_once(':')) {
            return name.trim().into();
        }
    }
    said("sysctl", &["-n", "machdep.cpu.brand_string"], Path::new("/"))
        .unwrap_or_else(|| "unknown".into())
}

fn revision(root: &Path) -> String {
    let Some(head) = said("git", &["rev-parse", "HEAD"], root) else {
        // An archive that was carried to another machine has no checkout; CI knows what it is.
        return std::env::var("GITHUB_SHA").unwrap_or_else(|_| "unknown".into());
    };
    match said("git", &["status", "--porcelain"], root).as_deref() {
        Some("") => head,
        _ => head + "+",
    }
}

fn said(program: &str, arguments: &[&str], folder: &Path) -> Option<String> {
    let output = Command::new(program).args(arguments).current_dir(folder).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<String> {
    let known = [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("f16c", is_x86_feature_detected!("f16c")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bw", is_x86_feature_detected!("avx512bw")),
        ("avx512vbmi", is_x86_feature_detected!("avx512vbmi")),
        ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
        ("avx512bf16", is_x86_feature_detected!("avx512bf16")),
    ];
    known.iter().filter(|(_, there)| *there).map(|(name, _)| (*name).into()).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> Vec<String> {
    Vec::new()
}
