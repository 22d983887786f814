//! What the environment asks of a run: the one table of variables. A variable or value that nobody
//! knows is an error, because a misspelt switch would silently check less.

use crate::{capability, roots};
use std::env;
use std::path::{Path, PathBuf};

/// Every variable the suite reads, with what it does.
pub const VARIABLES: &[(&str, &str)] = &[
    ("REQUIRE", "comma-separated capabilities that must be present: REQUIRE=cuda"),
    ("ORCD_DEEP", "1 runs the long version of everything, as the nightly job does"),
    ("ORCD_GOLDEN_TOOL", "the tool of golden/, to ask llama.cpp about random models"),
    ("ORCD_LLAMA_CPP_MODELS", "folder with the vocabularies and templates of a llama.cpp checkout"),
    ("ORCD_MODELS", "folder with real GGUF files, each of which becomes cases of its own"),
    ("ORCD_KERNELS", "folder to read kernel sources from, instead of those compiled in"),
    ("ORCD_KERNEL_PACK", "while building: the pack that --features kernel-pack compiles in"),
    ("ORCD_NVRTC", "the kernel compiler's library, to check that every kernel compiles"),
    ("ORCD_RESULTS", "where results go instead of target/judge/results.jsonl"),
    ("ORCD_UNPOISONED", "1 leaves device memory as it is allocated, for compute-sanitizer"),
    ("ORCD_ROOT", "the project's folder when the suite runs from an archive"),
];

/// What one run was asked for.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Capabilities that must be present.
    pub required: Vec<String>,
    /// The results file.
    pub results: PathBuf,
    /// Id of the run this process belongs to, when many processes make one run (nextest).
    pub shared_run: Option<String>,
}

impl Settings {
    /// Reads and checks the environment.
    pub fn read() -> Result<Settings, String> {
        let variables = env::vars_os().filter_map(|(key, _)| key.into_string().ok());
        for key in variables.filter(|key| key.starts_with("ORCD_")) {
            if !VARIABLES.iter().any(|(known, _)| *known == key) {
                return Err(format!("{key}: no such variable; there are\n{}", help()));
            }
        }
        if let Some(value) = text("ORCD_DEEP")?.filter(|value| value != "0" && value != "1") {
            return Err(format!("ORCD_DEEP={value}: must be 0 or 1"));
        }
        for (key, inside) in [("ORCD_ROOT", "vectors"), ("ORCD_LLAMA_CPP_MODELS", ".")] {
            let Some(folder) = env::var_os(key) else { continue };
            if !Path::new(&folder).join(inside).is_dir() {
                let folder = folder.to_string_lossy();
                return Err(format!("{key}={folder}: no folder '{inside}' there"));
            }
        }
        let default = || roots::project().join("target/judge/results.jsonl");
        Ok(Settings {
            required: required(&text("REQUIRE")?.unwrap_or_default())?,
            results: env::var_os("ORCD_RESULTS").map_or_else(default, PathBuf::from),
            shared_run: text("NEXTEST_RUN_ID")?,
        })
    }
}

/// The capabilities that a value of `REQUIRE` names.
pub fn required(value: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> =
        value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(Into::into).collect();
    match names.iter().find(|name| capability::row(name).is_none()) {
        None => Ok(names),
        Some(name) => Err(format!(
            "REQUIRE={value}: no capability '{name}'; there are: {}",
            capability::names().join(", ")
        )),
    }
}

/// The table of variables for `--help` and error messages.
pub fn help() -> String {
    VARIABLES.iter().map(|(key, what)| format!("  {key:22} {what}\n")).collect()
}

fn text(key: &str) -> Result<Option<String>, String> {
    match env::var_os(key).map(|value| value.into_string()) {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(_)) => Err(format!("{key}: not UTF-8")),
    }
}
