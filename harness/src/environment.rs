//! What the environment asks of a run: the one table of variables. A variable or value that nobody
//! knows is an error, because a misspelt switch would silently check less. A variable that is set
//! to nothing is not set: `NAME= cargo test` is how a shell says so.

use crate::{capability, roots};
use std::env;
use std::ffi::OsString;
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
    ("ORCD_TEXT", "text of at least 12 MiB for the tokenizer benchmark, instead of a made one"),
    ("ORCD_UNPOISONED", "1 leaves device memory as it is allocated, for compute-sanitizer"),
    ("ORCD_ROOT", "the project's folder when the suite runs from an archive"),
];

/// Variables that are `1`, or `0` as if they were not set.
const SWITCHES: [&str; 2] = ["ORCD_DEEP", "ORCD_UNPOISONED"];

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
        for key in SWITCHES {
            if let Some(value) = text(key)?.filter(|value| value != "0" && value != "1") {
                return Err(format!("{key}={value}: must be 0 or 1"));
            }
        }
        for (key, inside) in [("ORCD_ROOT", "vectors"), ("ORCD_LLAMA_CPP_MODELS", ".")] {
            let Some(folder) = value(key) else { continue };
            if !Path::new(&folder).join(inside).is_dir() {
                let folder = folder.to_string_lossy();
                return Err(format!("{key}={folder}: no folder '{inside}' there"));
            }
        }
        let default = || roots::project().join("target/judge/results.jsonl");
        Ok(Settings {
            required: required(&text("REQUIRE")?.unwrap_or_default())?,
            results: value("ORCD_RESULTS").map_or_else(default, PathBuf::from),
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

/// What a variable is set to, if it is set to something.
pub fn value(key: &str) -> Option<OsString> {
    env::var_os(key).filter(|value| !value.is_empty())
}

/// The file or folder that a variable names.
pub fn path(key: &str) -> Option<PathBuf> {
    value(key).map(PathBuf::from)
}

/// Whether a variable of [`SWITCHES`] is on.
pub fn is_on(key: &str) -> bool {
    value(key).is_some_and(|value| value != "0")
}

fn text(key: &str) -> Result<Option<String>, String> {
    match value(key).map(|value| value.into_string()) {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(_)) => Err(format!("{key}: not UTF-8")),
    }
}
