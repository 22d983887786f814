//! `kernels::sources::` — the folder and the binary hold the same kernels, and none does what makes
//! sums depend on anything but their inputs.

use engine::backend::cuda::compiler::OPTIONS;
use engine::backend::cuda::sources::{SOURCES, Unit, stems};
use harness::{Case, Failure, roots};
use std::collections::BTreeSet;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("kernels::sources::all-are-embedded", |_| all_embedded()),
        Case::new("kernels::sources::digest-sees-every-file", |_| digest()),
        Case::new("kernels::sources::no-order-is-left-to-chance", |_| deterministic())
            .requirements(["DT15"]),
    ]
}

fn files() -> Result<Vec<(String, String)>, Failure> {
    let folder = roots::project().join("engine/kernels");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".cu") || name.ends_with(".cuh") {
            files.push((name, std::fs::read_to_string(path)?));
        }
    }
    match files.is_empty() {
        true => Err("engine/kernels holds no kernel".into()),
        false => Ok(files),
    }
}

fn all_embedded() -> Result<(), Failure> {
    let folder: BTreeSet<String> = files()?.into_iter().map(|(name, _)| name).collect();
    let embedded: BTreeSet<String> = SOURCES.iter().map(|source| source.file.into()).collect();
    let odd: Vec<&String> = folder.symmetric_difference(&embedded).collect();
    match odd.is_empty() {
        true => Ok(()),
        false => Err(format!("in engine/kernels or in SOURCES, not in both: {odd:?}").into()),
    }
}

fn digest() -> Result<(), Failure> {
    let stem = stems().next().ok_or("no kernel")?;
    let unit = Unit::of(stem)?;
    let before = unit.digest();
    let mut text = Unit::of(stem)?;
    text.text.to_mut().push(' ');
    let mut header = Unit::of(stem)?;
    header.headers.first_mut().ok_or("no header")?.1.to_mut().push(' ');
    match text.digest() != before && header.digest() != before && unit.digest() == before {
        true => Ok(()),
        false => Err("a changed source has the digest of the old one".into()),
    }
}

/// Float atomics add in the order of arrival; fast intrinsics flush and approximate.
fn deterministic() -> Result<(), Failure> {
    let banned = [
        "atomicAdd(",
        "red.global.add.f",
        "atom.global.add.f",
        "atom.add.f",
        "red.add.f",
        "__expf",
        "__sinf",
        "__cosf",
        "__logf",
        "__powf",
        "__fdividef",
        ".ftz",
        ".approx",
        "use_fast_math",
    ];
    let mut found = Vec::new();
    for (name, text) in files()? {
        for (line, code) in text.lines().enumerate() {
            let code = code.split("//").next().unwrap_or("");
            let words = banned.iter().filter(|word| code.contains(**word));
            found.extend(words.map(|word| format!("{name}:{}: {word}", line + 1)));
        }
    }
    let option = OPTIONS.iter().find(|option| option.contains("fast"));
    found.extend(option.map(|option| format!("option {option}")));
    match found.is_empty() && OPTIONS.contains(&"--fmad=false") {
        true => Ok(()),
        false => Err(format!("{}\nfmad must be off: {OPTIONS:?}", found.join("\n")).into()),
    }
}
