//! Small random models for tests: descriptions under `conformance/models`, made by the engine's own
//! `synth` and written where a case wants them. Knows where descriptions lie, not what they hold.

use engine::loader::Gguf;
use engine::synth::{Description, Options, Plan};
use harness::{Failure, roots};
use std::path::Path;

/// Stems of all descriptions, sorted. The folder is part of the project: without it the suite is
/// broken, and the case that reads it says so.
pub fn names() -> Vec<String> {
    let entries = std::fs::read_dir(roots::project().join("conformance/models"));
    let paths = entries.into_iter().flatten().flatten().map(|entry| entry.path());
    let toml = paths.filter(|path| path.extension().is_some_and(|ending| ending == "toml"));
    let stem = |path: &Path| Some(path.file_stem()?.to_str()?.to_owned());
    let mut names: Vec<String> = toml.filter_map(|path| stem(&path)).collect();
    names.sort();
    names
}

/// The description named `name`.
pub fn description(name: &str) -> Result<Description, Failure> {
    let path = roots::project().join(format!("conformance/models/{name}.toml"));
    Ok(Description::open(&path)?)
}

/// The whole file of a plan.
pub fn bytes(plan: &Plan, threads: usize) -> Result<Vec<u8>, Failure> {
    let mut stream = plan.writer().stream(Vec::new(), Path::new("memory"))?;
    plan.write(&mut stream, threads, |_, _| {})?;
    Ok(stream.finish()?)
}

/// Makes the model `name` and opens it. The folder holds the file and must outlive it.
pub fn open(name: &str, seed: u64, folder: &Path) -> Result<Gguf, Failure> {
    let options = Options { seed, ..Options::default() };
    let plan = Plan::new(&description(name)?, &options)?;
    let path = folder.join(format!("{name}.gguf"));
    std::fs::write(&path, bytes(&plan, 1)?)?;
    Ok(Gguf::open(&path)?)
}
