//! What a machine may lack: the one table of capabilities. Knows how to ask the machine, not who
//! needs the answer.

use crate::environment;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// A row of the table.
pub struct Capability {
    /// What cases and `REQUIRE=` call it.
    pub name: &'static str,
    /// What it is, for people.
    pub about: &'static str,
    /// Asks this machine; the error says what is missing. Must not panic and must be quick.
    pub probe: fn() -> Result<(), String>,
}

/// Every capability there is, sorted by name.
pub const CAPABILITIES: &[Capability] = &[
    Capability {
        name: "cargo",
        about: "cargo, where the suite was built and not only carried",
        probe: cargo,
    },
    Capability {
        name: "cc",
        about: "a C compiler, for libraries that pretend to be a driver",
        probe: || match in_path("cc") {
            true => Ok(()),
            false => Err("no cc in PATH".into()),
        },
    },
    Capability {
        name: "cuda",
        about: "an NVIDIA driver with at least one device",
        probe: crate::cuda_probe::probe,
    },
    Capability {
        name: "golden-tool",
        about: "llama.cpp as an oracle: the tool of golden/, which ORCD_GOLDEN_TOOL names",
        probe: || is_set("ORCD_GOLDEN_TOOL"),
    },
    Capability {
        name: "llama-cpp-models",
        about: "the folder ORCD_LLAMA_CPP_MODELS, `models` of a llama.cpp checkout",
        probe: || is_set("ORCD_LLAMA_CPP_MODELS"),
    },
    Capability {
        name: "models",
        about: "the folder ORCD_MODELS, with real GGUF files",
        probe: || is_set("ORCD_MODELS"),
    },
    Capability {
        name: "nvrtc",
        about: "the kernel compiler's library, which ORCD_NVRTC names",
        probe: || is_set("ORCD_NVRTC"),
    },
    Capability {
        name: "procfs",
        about: "a /proc that lists this process's mappings and descriptors",
        probe: || match std::path::Path::new("/proc/self/maps").exists() {
            true => Ok(()),
            false => Err("there is no /proc/self/maps".into()),
        },
    },
];

fn is_set(variable: &str) -> Result<(), String> {
    match environment::value(variable) {
        Some(_) => Ok(()),
        None => Err(format!("{variable} is not set")),
    }
}

fn cargo() -> Result<(), String> {
    match in_path("cargo") || std::env::var_os("CARGO").is_some() {
        true => Ok(()),
        false => Err("no cargo in PATH".into()),
    }
}

fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The row called `name`.
pub fn row(name: &str) -> Option<&'static Capability> {
    CAPABILITIES.iter().find(|row| row.name == name)
}

/// All names.
pub fn names() -> Vec<&'static str> {
    CAPABILITIES.iter().map(|row| row.name).collect()
}

/// Whether this machine has `name`; the error says what is missing. Each is asked once a process.
pub fn probe(name: &str) -> Result<(), String> {
    static ANSWERS: Mutex<BTreeMap<String, Result<(), String>>> = Mutex::new(BTreeMap::new());
    let mut answers = ANSWERS.lock().map_err(|_| "a probe panicked".to_string())?;
    if let Some(answer) = answers.get(name) {
        return answer.clone();
    }
    let answer = match row(name) {
        Some(row) => (row.probe)(),
        None => Err(format!("no capability is called '{name}'")),
    };
    answers.insert(name.into(), answer.clone());
    answer
}
