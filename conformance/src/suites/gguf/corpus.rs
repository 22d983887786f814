//! All attack files together: what they leave behind in the process, and what they did to others.
//! Knows the vector files, not what each one attacks.

use super::attempt::{self, Answer, HANG};
use super::vector::{FileVector, Peer, Peers};
use crate::suites::vectors::Vector;
use engine::loader::Gguf;
use harness::{Case, Failure, Run, discover, roots, vector};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// The cases.
pub fn cases() -> Vec<Case> {
    vec![
        Case::new("gguf::corpus::nothing-stays-open", nothing_stays_open).needs("procfs"),
        Case::new("gguf::corpus::scoreboard", scoreboard),
    ]
}

/// Every vector of the suite, with its full name.
pub fn corpus() -> Result<Vec<(String, FileVector)>, String> {
    let mut all = Vec::new();
    for found in discover::vector_files(&roots::project().join("vectors/gguf")) {
        let table = found.text?.parse::<toml::Table>().map_err(|e| e.to_string())?;
        if vector::suite_of(&table)? != FileVector::SUITE {
            continue;
        }
        let file = vector::from_table::<FileVector>(&found.path, table)?;
        let cases = file.cases.into_iter();
        all.extend(cases.map(|(head, own)| (format!("{}::{}", found.name, head.name), own)));
    }
    match all.is_empty() {
        true => Err("no vectors of the suite gguf-file".into()),
        false => Ok(all),
    }
}

/// Opens every file from its path; afterwards neither a descriptor nor a mapping of it may stand.
fn nothing_stays_open(run: &mut Run) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let folder_path = folder.path().canonicalize()?;
    let mut opened = 0;
    for (name, own) in corpus()? {
        let path = folder_path.join(name.replace("::", "."));
        fs::write(&path, &*own.bytes()?)?;
        let gguf = Gguf::open(&path);
        // The count must be able to see a mapping, or its zero means nothing.
        if gguf.is_ok() && own.length > 0 && !holds(&folder_path)?.contains("maps") {
            return Err(format!("{name} is open, and no mapping of it is seen").into());
        }
        opened += 1;
    }
    run.figure("files-opened", f64::from(opened), "");
    match holds(&folder_path)?.as_str() {
        "" => Ok(()),
        held => Err(format!("still held after everything was closed:\n{held}").into()),
    }
}

/// Descriptors and mappings of this process under `folder`, a line each.
fn holds(folder: &Path) -> Result<String, Failure> {
    let folder = folder.to_string_lossy().into_owned();
    let maps = fs::read_to_string("/proc/self/maps")?;
    let mapped = maps.lines().filter(|line| line.contains(&folder));
    let mut lines: Vec<String> = mapped.map(|line| format!("maps: {line}")).collect();
    for entry in fs::read_dir("/proc/self/fd")? {
        // A descriptor may be closed by another case between listing and reading.
        let Ok(target) = fs::read_link(entry?.path()) else { continue };
        let target = target.to_string_lossy().into_owned();
        if target.starts_with(&folder) {
            lines.push(format!("fd: {target}"));
        }
    }
    Ok(lines.join("\n"))
}

/// The same files, and how many readers they kill. Ours must survive each; the figures of others
/// were measured on llama.cpp and gguf-py of August 2026 and stand in the vectors.
fn scoreboard(run: &mut Run) -> Result<(), Failure> {
    let mut measured = Vec::new();
    let mut broken = Vec::new();
    for (name, own) in corpus()? {
        let Some(peers) = own.peers else { continue };
        let bytes: Arc<Vec<u8>> = own.bytes()?;
        match attempt::watched(HANG, move |_| attempt::parse(&bytes).answer) {
            Ok(Answer::Broken(why)) | Err(why) => broken.push(format!("{name}: {why}")),
            Ok(_) => measured.push((own.want, peers)),
        }
    }
    let count = |peer: fn(&Peers) -> Peer, did: fn(Peer) -> bool, wants: fn(&str) -> bool| {
        let fits = |(want, peers): &&(String, Peers)| wants(want) && did(peer(peers));
        measured.iter().filter(fits).count() as f64
    };
    let llama_cpp = |peers: &Peers| peers.llama_cpp;
    let gguf_py = |peers: &Peers| peers.gguf_py;
    let any = |_: &str| true;
    let bad = |want: &str| want != "Ok";
    run.figure("files", (measured.len() + broken.len()) as f64, "");
    run.figure("kills-and-hangs-ours", broken.len() as f64, "files");
    run.figure("kills-llama-cpp", count(llama_cpp, Peer::died, any), "files");
    run.figure("hangs-gguf-py", count(gguf_py, Peer::hung, any), "files");
    run.figure("accepts-what-we-refuse-llama-cpp", count(llama_cpp, Peer::accepted, bad), "files");
    run.figure("accepts-what-we-refuse-gguf-py", count(gguf_py, Peer::accepted, bad), "files");
    match broken.is_empty() {
        true => Ok(()),
        false => Err(broken.join("\n").into()),
    }
}
