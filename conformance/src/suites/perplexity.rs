//! `perplexity::MODEL` — what `worker-orcd perplexity` measures on the authored corpus against what
//! llama-perplexity measured: on the shipped file, and on its twin, whose weights are the same
//! numbers without rounding of activations in between.

use crate::subject::fixtures;
use crate::suites::golden::trace::{self, Perplexity};
use harness::{Case, Failure, Run, roots};
use serde_json::Value;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Of the value, against the twin's. Both are sums of the same logarithms; llama.cpp takes each
/// exponential in f32, adds up another order, and the recording has six decimals.
const TOLERANCE: f64 = 1e-5;

pub(super) fn cases() -> Vec<Case> {
    let case = |(model, path): (String, PathBuf)| {
        Case::new(format!("perplexity::{model}"), move |run| {
            judge(run, &trace::perplexity(&model)?, &path, &corpus())
        })
        .requirements(["C20"])
    };
    fixtures().into_iter().map(case).collect()
}

/// What is measured unless a recording brings a text of its own.
pub(super) fn corpus() -> PathBuf {
    roots::project().join("golden/inputs/corpus.txt")
}

fn measured(path: &Path, corpus: &Path, context: usize) -> Result<Value, Failure> {
    let (path, corpus) = (path.to_string_lossy(), corpus.to_string_lossy());
    let context = context.to_string();
    let line = ["worker-orcd", "perplexity", &path, "-f", &corpus, "-c", &context, "--json"];
    let line = line.iter().chain(&["--profile", "llama.cpp"]);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    match engine::cli::run(line.map(OsString::from), &mut out, &mut err) {
        0 => Ok(serde_json::from_slice(&out)?),
        code => Err(format!("ended with {code}: {}", String::from_utf8_lossy(&err)).into()),
    }
}

/// Measures `path` on a text of which `want` was recorded.
pub(super) fn judge(
    run: &mut Run,
    want: &Perplexity,
    path: &Path,
    corpus: &Path,
) -> Result<(), Failure> {
    let found = measured(path, corpus, want.chunk)?;
    let counts = [("tokens", want.tokens), ("chunks", want.chunks), ("tokens_scored", want.scored)];
    for (key, want) in counts {
        if found[key] != want {
            return Err(format!("{key}: {}, llama.cpp had {want}", found[key]).into());
        }
    }
    if found["ids_sha256"] != want.sha256.as_str() {
        return Err(format!("other ids: {}, {}", found["ids_sha256"], want.sha256).into());
    }
    let number = |key: &str| found[key].as_f64().ok_or_else(|| format!("no {key} in {found}"));
    let (value, error) = (number("perplexity")?, number("error")?);
    let off = (value / want.twin.0 - 1.0).abs();
    let llama_cpp_off = (want.file.0 / want.twin.0 - 1.0).abs();
    run.figure("perplexity", value, "");
    run.figure("off the twin", off, "");
    run.figure("llama.cpp off the twin on the file", llama_cpp_off, "");
    if off > TOLERANCE {
        return Err(format!(
            "{value}, llama.cpp has {} on the twin and {} on the file: off by {off:.2e}",
            want.twin.0, want.file.0
        )
        .into());
    }
    match (error / want.twin.1 - 1.0).abs() > 1e-3 {
        false => Ok(()),
        true => Err(format!("error {error}, llama.cpp has {}", want.twin.1).into()),
    }
}
