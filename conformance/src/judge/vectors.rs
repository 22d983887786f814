//! `judge vectors`: the tools of someone who writes vector files.

use super::write;
use crate::vector_tools::{format, lint, schema};
use clap::Subcommand;
use harness::{Run, discover, roots};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Says what is wrong with the vector files; the suite's own `tidy::vectors::` cases
    Lint,
    /// Rewrites vector files in the one way there is; comments stay
    Fmt {
        /// The files [default: all]
        files: Vec<PathBuf>,
        /// Write nothing; red when a file would change
        #[arg(long)]
        check: bool,
    },
    /// Writes vectors/schema/*.schema.json from the types that read the files
    Schema,
}

/// True when green.
pub(super) fn run(command: &Command) -> Result<bool, String> {
    match command {
        Command::Lint => linted(),
        Command::Fmt { files, check } => formatted(files, *check),
        Command::Schema => {
            let folder = roots::project().join("vectors").join(discover::SCHEMA_FOLDER);
            for (name, text) in schema::documents()? {
                write(&folder.join(&name), &text)?;
                println!("wrote {}", folder.join(name).display());
            }
            Ok(true)
        }
    }
}

fn linted() -> Result<bool, String> {
    let mut green = true;
    for case in lint::cases() {
        if let Err(failure) = (case.body)(&mut Run::default()) {
            println!("{}", failure.text());
            green = false;
        }
    }
    Ok(green)
}

fn formatted(files: &[PathBuf], check: bool) -> Result<bool, String> {
    let all = || {
        let found = discover::vector_files(&roots::project().join("vectors"));
        found.into_iter().filter(|found| found.text.is_ok()).map(|found| found.path).collect()
    };
    let files: Vec<PathBuf> = if files.is_empty() { all() } else { files.to_vec() };
    let mut green = true;
    for path in files {
        let at = |what: String| format!("{}: {what}", path.display());
        let text = std::fs::read_to_string(&path).map_err(|error| at(error.to_string()))?;
        let written = format::format(&text).map_err(at)?;
        if written == text {
            continue;
        }
        if check {
            println!("{} would change", path.display());
            green = false;
        } else {
            write(&path, &written)?;
            println!("wrote {}", path.display());
        }
    }
    Ok(green)
}
