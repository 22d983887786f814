//! The command line. Each subcommand is one file under `cli/`.

fn main() {}
