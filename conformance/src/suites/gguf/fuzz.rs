//! Replays the fuzzer's corpus on stable: the seeds, and whatever a fuzzer on this machine added or
//! crashed on. Knows where the files lie; what they must get is what the fuzz targets ask, too.

use super::attempt::{self, Answer, HANG};
use super::oracle;
use super::vector::heap_limit;
use engine::loader::safetensors;
use harness::{Case, Failure, Run, roots};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// Seeds are valid files; what else lies in the corpus may be anything.
const SEED: &str = "seed-";

/// The cases.
pub fn cases() -> Vec<Case> {
    vec![
        Case::new("gguf::fuzz::replay-gguf", |run| replay(run, "gguf", examine_gguf)),
        Case::new("gguf::fuzz::replay-safetensors", |run| {
            replay(run, "safetensors", examine_safetensors)
        }),
    ]
}

type Examine = fn(&[u8], valid: bool) -> Result<(), String>;

fn replay(run: &mut Run, target: &'static str, examine: Examine) -> Result<(), Failure> {
    let fuzz = roots::project().join("conformance/fuzz");
    let mut paths = files(&fuzz.join("corpus").join(target))?;
    let seeds = paths.iter().filter(|path| is_seed(path)).count();
    if seeds == 0 {
        return Err(format!("no seeds under {}", fuzz.join("corpus").join(target).display()).into());
    }
    // Crashes that a fuzzer left on this machine; there are none in a clean clone.
    let crashes = fuzz.join("artifacts").join(target);
    if crashes.is_dir() {
        paths.extend(files(&crashes)?);
    }
    run.figure("files", paths.len() as f64, "");
    attempt::watched(HANG, move |progress| {
        for path in paths {
            progress.fetch_add(1, Ordering::Relaxed);
            let place = |why: String| format!("{}: {why}", path.display());
            let bytes = std::fs::read(&path).map_err(|e| place(e.to_string()))?;
            examine(&bytes, is_seed(&path)).map_err(place)?;
        }
        Ok::<(), String>(())
    })??;
    Ok(())
}

fn is_seed(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(SEED))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let wrong = |e: std::io::Error| format!("{}: {e}", folder.display());
    let entries = std::fs::read_dir(folder).map_err(wrong)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()).map_err(wrong));
    let mut paths = paths.collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}

fn examine_gguf(bytes: &[u8], valid: bool) -> Result<(), String> {
    let attempt = attempt::parse(bytes);
    if attempt.heap.peak_bytes > heap_limit(bytes) {
        return Err(format!("{} heap bytes at once", attempt.heap.peak_bytes));
    }
    match attempt.answer {
        Answer::Accepted(layout) => oracle::verify(bytes, &layout),
        Answer::Refused(_, text) if !valid => attempt::unfit(&text).map_or(Ok(()), Err),
        Answer::Refused(_, text) | Answer::Broken(text) => Err(text),
    }
}

fn examine_safetensors(bytes: &[u8], valid: bool) -> Result<(), String> {
    match safetensors::Layout::parse(bytes) {
        Ok(layout) => {
            let data_bytes = bytes.len() as u128 - u128::from(layout.data_start);
            let end = |info: &safetensors::Info| u128::from(info.offset) + u128::from(info.bytes);
            match layout.tensors.iter().find(|info| end(info) > data_bytes) {
                Some(info) => Err(format!("tensor '{}' ends behind the file", info.name)),
                None => Ok(()),
            }
        }
        Err(error) if !valid && error.class().is_some() => {
            attempt::unfit(&error.to_string()).map_or(Ok(()), Err)
        }
        Err(error) => Err(error.to_string()),
    }
}
