//! The one test binary. Under `cargo bench` cargo passes `--bench`, and criterion runs instead.

use libtest_mimic::Arguments;

fn main() {
    conformance::snapshot::prepare();
    if std::env::args().any(|argument| argument == "--bench") {
        return conformance::bench::main();
    }
    let arguments = Arguments::from_args();
    harness::runner::run(&arguments, conformance::suites::all()).exit();
}
