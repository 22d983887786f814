//! `cargo judge`: the verdict on an engine, for people.

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(ended) = conformance::enter() {
        return ended;
    }
    conformance::judge::main(std::env::args_os(), conformance::suites::all)
}
