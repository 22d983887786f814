//! `device::stub::` — drivers that are not what they should be, made on the spot from a few lines
//! of C, in front of a process of its own. Whatever they answer, the process says what is missing
//! and ends by itself.

use crate::worker;
use harness::{Case, Failure, roots};
use std::process::Command;

/// A library in the driver's place.
struct Stub {
    name: &'static str,
    source: &'static str,
    /// What the message must say.
    says: &'static [&'static str],
}

/// Symbols that every driver has, answering well.
const FINE: &str = "
    int cuDriverGetVersion(int *v) { *v = 12020; return 0; }
    int cuInit(unsigned f) { return 0; }
    int cuDeviceGetCount(int *n) { *n = 0; return 0; }
";

const STUBS: &[Stub] = &[
    Stub {
        name: "not-a-library",
        source: "",
        says: &["libcuda.so.1 cannot be loaded", "--backend cpu"],
    },
    Stub {
        name: "no-symbols",
        source: "int nothing;",
        says: &["cuDriverGetVersion", "newer driver"],
    },
    Stub {
        name: "old-driver",
        source: "int cuDriverGetVersion(int *v) { *v = 11040; return 0; }",
        says: &["CUDA 11.4", "CUDA 12.0"],
    },
    Stub {
        name: "missing-symbol",
        source: "int cuDriverGetVersion(int *v) { *v = 12020; return 0; }
                 int cuInit(unsigned f) { return 0; }
                 int cuDeviceGetCount(int *n) { *n = 1; return 0; }",
        says: &["CUDA 12.2", "lacks cuDeviceGet"],
    },
    Stub {
        name: "toolkit-stub",
        source: "int cuDriverGetVersion(int *v) { return 34; }",
        says: &["34", "no driver is installed"],
    },
    Stub {
        name: "no-device",
        source: "int cuInit(unsigned f) { return 100; }",
        says: &["100", "CUDA_VISIBLE_DEVICES"],
    },
    Stub {
        name: "busy-device",
        source: "int cuInit(unsigned f) { return 46; }",
        says: &["46", "busy"],
    },
    Stub {
        name: "mismatch",
        source: "int cuInit(unsigned f) { return 803; }",
        says: &["803", "version"],
    },
    Stub {
        name: "unknown-code",
        source: "int cuInit(unsigned f) { return 9999; }",
        says: &["9999", "not documented"],
    },
    Stub { name: "no-devices", source: "", says: &["counts 0 devices"] },
];

pub(super) fn cases() -> Vec<Case> {
    let stubs = STUBS.iter().map(|stub| {
        Case::new(format!("device::stub::{}", stub.name), move |_| judged(stub))
            .requirements(["F01", "F02", "F03", "F04"])
            .needs("cc")
    });
    stubs.collect()
}

fn judged(stub: &Stub) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let library = folder.path().join("libcuda.so.1");
    match stub.name {
        "not-a-library" => std::fs::write(&library, "no library")?,
        _ => {
            let source = folder.path().join("stub.c");
            std::fs::write(&source, text(stub))?;
            let built = Command::new("cc")
                .args(["-shared", "-fPIC", "-w", "-o"])
                .args([&library, &source])
                .output()?;
            if !built.status.success() {
                return Err(String::from_utf8_lossy(&built.stderr).into_owned().into());
            }
        }
    }
    let ended = worker::run_with(&roots::project(), ["devices"], |command| {
        command.env("LD_LIBRARY_PATH", folder.path());
    })?;
    let err = ended.refused(1)?;
    if err.lines().count() != 1 {
        return Err(format!("not one line: {err}").into());
    }
    match stub.says.iter().find(|part| !err.contains(**part)) {
        Some(part) => Err(format!("no '{part}' in: {err}").into()),
        None => Ok(()),
    }
}

/// The stub's C: what it names itself, and for those that get past the version, every function that
/// is looked up.
fn text(stub: &Stub) -> String {
    if !stub.source.contains("cuInit") && !stub.source.is_empty() || stub.name == "missing-symbol" {
        return stub.source.into();
    }
    let own = |name: &str| stub.source.contains(name);
    let fine = FINE.lines().filter(|line| !line.contains("cuInit") || !own("cuInit"));
    let listed = |name: &&&str| !FINE.contains(&format!("{name}("));
    let rest = engine::backend::cuda::SYMBOLS.iter().filter(listed);
    let rest = rest.map(|name| format!("int {name}() {{ return 1; }}\n"));
    stub.source.lines().chain(fine).map(|line| format!("{line}\n")).chain(rest).collect()
}
