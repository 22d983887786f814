//! `model::` models that are wrong in one place: everything a file can say that no engine should
//! believe. The cases are vectors (`vectors/model`); here stands how a model is changed, how it is
//! opened, and what all of them together say.

mod change;
mod opening;
mod vector;

pub(crate) use vector::ModelVector;

use crate::suites::vectors::Vector;
use harness::{Case, Failure, Run, discover, roots, vector as files};
use vector::Peer;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("model::scoreboard", scoreboard),
        Case::new("model::a-change-that-changes-nothing-is-red", typing_errors),
    ]
}

/// Every vector of the suite, with its name.
fn corpus() -> Result<Vec<(String, ModelVector)>, String> {
    let mut all = Vec::new();
    for found in discover::vector_files(&roots::project().join("vectors/model")) {
        let table = found.text?.parse::<toml::Table>().map_err(|e| e.to_string())?;
        if files::suite_of(&table)? == ModelVector::SUITE {
            let file = files::from_table::<ModelVector>(&found.path, table)?;
            all.extend(file.cases.into_iter().map(|(head, own)| (head.name, own)));
        }
    }
    Ok(all)
}

/// How many of the same files end a process. Figures of llama.cpp were measured in August 2026 and
/// stand in the vectors; a vector that goes missing changes them.
fn scoreboard(run: &mut Run) -> Result<(), Failure> {
    let corpus = corpus()?;
    let mut broken = Vec::new();
    for (name, own) in corpus.iter().filter(|(_, own)| own.llama_cpp.is_some()) {
        let folder = tempfile::tempdir()?;
        let opened = vector::open(&own.write(folder.path())?)?;
        if opened.word == "broken" {
            broken.push(format!("{name}: {}", opened.text));
        }
    }
    let did =
        |peer: Peer| corpus.iter().filter(|(_, own)| own.llama_cpp == Some(peer)).count() as f64;
    let measured = corpus.iter().filter(|(_, own)| own.llama_cpp.is_some()).count();
    run.figure("files", measured as f64, "");
    run.figure("kills-ours", broken.len() as f64, "files");
    run.figure("kills-llama-cpp", did(Peer::Sigabrt), "files");
    run.figure("non-finite-llama-cpp", did(Peer::NonFinite), "files");
    if !broken.is_empty() {
        return Err(broken.join("\n").into());
    }
    match (measured, did(Peer::Sigabrt)) {
        (94, 17.0) => Ok(()),
        found => Err(format!("{found:?}: 94 files were measured, of which 17 kill").into()),
    }
}

/// A vector with a slip in a change would test the sound model.
fn typing_errors(_: &mut Run) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let sound = crate::models::open("llama-base", 0, folder.path())?;
    for line in [
        "unset llama.block_cuont",
        "drop output_norm.wieght",
        "cut tokenizer.ggml.tokens 300",
        "item tokenizer.ggml.tokens 300 x",
        "set u33 llama.block_count 1",
        "set u32 llama.block_count 2^32",
        "reshape 32,1 output_norm.weight",
        "block blk.0.attn_q.weight 33 00 00",
        "transmogrify",
    ] {
        if change::Draft::of(&sound).change(line).is_ok() {
            return Err(format!("accepted: {line}").into());
        }
    }
    Ok(())
}
