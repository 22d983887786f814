//! `text::` — what people and scripts read: help, tables, JSON, refusals. Reviewed once
//! (`cargo insta review`), then held. Knows what to ask; the reviewed answers lie in
//! `conformance/snapshots`.

mod example;
mod red;
mod refusals;

use crate::snapshot;
use crate::worker::{self, Program};
use harness::{Case, Failure, roots};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        help("text::worker-orcd::help", Program::Worker, &["--help"]),
        help("text::worker-orcd::help-inspect", Program::Worker, &["inspect", "-h"]),
        help("text::worker-orcd::help-inspect-long", Program::Worker, &["inspect", "--help"]),
        help("text::worker-orcd::help-quantize", Program::Worker, &["quantize", "--help"]),
        help("text::judge::help", Program::Judge, &["--help"]),
        help("text::judge::help-merge", Program::Judge, &["merge", "--help"]),
        help("text::judge::help-vectors", Program::Judge, &["vectors", "--help"]),
        inspect("text::inspect::summary", &[]),
        inspect("text::inspect::metadata", &["--metadata"]),
        inspect("text::inspect::tensors", &["--tensors"]),
        inspect("text::inspect::check", &["--check"]),
        inspect("text::inspect::json", &["--json"]),
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

fn left_over(names: &[String]) -> Result<(), Failure> {
    let folder = roots::project().join("conformance/snapshots");
    let files = snapshot::unreferenced(&folder, names)?;
    match files.is_empty() {
        true => Ok(()),
        false => Err(format!("no case reads {files:?}: review or delete them").into()),
    }
}
