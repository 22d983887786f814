//! `cargo judge`: the verdict on an engine, for people.

use std::process::ExitCode;

fn main() -> ExitCode {
    conformance::snapshot::prepare();
    if let Some(ended) = conformance::suites::selftest_child() {
        return ended;
    }
    conformance::judge::main(std::env::args_os(), conformance::suites::all)
}
