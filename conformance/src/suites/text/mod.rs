//! `text::` — what people and scripts read: help, tables, JSON, refusals. Reviewed once
//! (`cargo insta review`), then held. Knows what to ask; the reviewed answers lie in
//! `conformance/snapshots`.

mod example;
mod red;
mod refusals;

use crate::models;
use crate::snapshot;
use crate::suites::tokenizer::command;
use crate::worker::{self, Program};
use harness::{Case, Failure, roots};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        help("text::worker-orcd::help", Program::Worker, &["--help"]),
        help("text::worker-orcd::help-inspect", Program::Worker, &["inspect", "-h"]),
        help("text::worker-orcd::help-inspect-long", Program::Worker, &["inspect", "--help"]),
        help("text::worker-orcd::help-devices", Program::Worker, &["devices", "--help"]),
        help("text::worker-orcd::help-kernels", Program::Worker, &["kernels", "--help"]),
        help("text::worker-orcd::help-kernels-build", Program::Worker, &["kernels", "build", "-h"]),
        help("text::worker-orcd::help-bench", Program::Worker, &["bench", "--help"]),
        help("text::worker-orcd::help-logits", Program::Worker, &["logits", "--help"]),
        help("text::worker-orcd::help-perplexity", Program::Worker, &["perplexity", "--help"]),
        help("text::worker-orcd::help-run", Program::Worker, &["run", "--help"]),
        help("text::worker-orcd::help-trace", Program::Worker, &["trace", "--help"]),
        help("text::worker-orcd::help-quantize", Program::Worker, &["quantize", "--help"]),
        help("text::worker-orcd::help-synth", Program::Worker, &["synth", "--help"]),
        help("text::worker-orcd::help-convert", Program::Worker, &["convert", "--help"]),
        help("text::judge::help", Program::Judge, &["--help"]),
        help("text::judge::help-merge", Program::Judge, &["merge", "--help"]),
        help("text::judge::help-vectors", Program::Judge, &["vectors", "--help"]),
        help("text::worker-orcd::help-tokenize", Program::Worker, &["tokenize", "--help"]),
        help("text::worker-orcd::help-detokenize", Program::Worker, &["detokenize", "--help"]),
        tokens("text::tokenize::plain", &["tokenize", "spm.gguf", TEXT]),
        tokens("text::tokenize::coloured", &["tokenize", "spm.gguf", TEXT, "--color", "always"]),
        tokens("text::tokenize::json-file", &["tokenize", "hf", "e\u{301} it's <|endoftext|>\n"]),
        tokens("text::inspect::vocabulary", &["inspect", "spm.gguf"]),
        tokens("text::inspect::vocabulary-refused", &["inspect", "no-pre.gguf"]),
        tokens("text::inspect::beside-a-model", &["inspect", "hf/bare.gguf"]),
        inspect("text::inspect::summary", &[]),
        inspect("text::inspect::metadata", &["--metadata"]),
        inspect("text::inspect::tensors", &["--tensors"]),
        inspect("text::inspect::check", &["--check"]),
        inspect("text::inspect::json", &["--json"]),
        snapshot::case("text::inspect::model-that-runs", runs),
        snapshot::case("text::red-vector", red::vector),
        snapshot::case("text::refusals", refusals::one_line_a_class),
    ];
    let names: Vec<String> = cases.iter().map(|case| case.name.clone()).collect();
    cases.push(Case::new("text::no-snapshot-is-left-over", move |_| left_over(&names)));
    cases
}

fn help(name: &str, who: Program, arguments: &'static [&'static str]) -> Case {
    snapshot::case(name, move || worker::run_as(who, &roots::project(), arguments)?.quiet(0))
}

/// `inspect` of one example file that holds every kind of value.
fn inspect(name: &str, flags: &'static [&'static str]) -> Case {
    snapshot::case(name, move || {
        let folder = tempfile::tempdir()?;
        example::write(&folder.path().join("example.gguf"))?;
        let arguments = ["inspect", "example.gguf"].iter().chain(flags);
        worker::run(folder.path(), arguments)?.quiet(0)
    })
}

/// A character of several tokens, white space, a special token, and what a terminal must not see.
const TEXT: &str = "<s>the hello  <|user|> \u{1f600}\u{65e5}\u{1b}[31m\n";

/// A command on one of the tokenizer suite's files.
fn tokens(name: &str, arguments: &'static [&'static str]) -> Case {
    snapshot::case(name, move || {
        let folder = tempfile::tempdir()?;
        command::files(folder.path())?;
        worker::run(folder.path(), arguments)?.quiet(0)
    })
}

/// `inspect` of a model that can be run: what it takes of memory.
fn runs() -> Result<String, Failure> {
    let folder = tempfile::tempdir()?;
    models::open("gpt-oss-base", 0, folder.path())?;
    worker::run(folder.path(), ["inspect", "gpt-oss-base.gguf"])?.quiet(0)
}

fn left_over(names: &[String]) -> Result<(), Failure> {
    let folder = roots::project().join("conformance/snapshots");
    let files = snapshot::unreferenced(&folder, names)?;
    match files.is_empty() {
        true => Ok(()),
        false => Err(format!("no case reads {files:?}: review or delete them").into()),
    }
}
