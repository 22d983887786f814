//! The one test binary. Under `cargo bench` cargo passes `--bench`, and criterion runs instead.

use libtest_mimic::Arguments;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(ended) = conformance::enter() {
        return ended;
    }
    let asked = |flag: &str| std::env::args().any(|argument| argument == flag);
    // nextest lists with both flags, and criterion's own test mode is our `bench-smoke::`.
    if asked("--bench") && !asked("--test") && !asked("--list") {
        conformance::bench::main();
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::from_args();
    harness::runner::run(&arguments, conformance::suites::all())
}
