//! The process around the command line: arguments in, exit code out.

use std::io::{BufWriter, stderr, stdout};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut out = BufWriter::new(stdout().lock());
    ExitCode::from(engine::cli::run(std::env::args_os(), &mut out, &mut stderr().lock()))
}
