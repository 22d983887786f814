//! The `golden` tool: records what oracles answer, and is the only writer of recorded files under
//! `golden/`. Knows llama.cpp (linked) and the reference libraries (scripts under `oracles/`).
//! Knows nothing of our engine, which must not record its own judge.

mod area;
mod digest;
mod ggml;
mod ids;
mod llama;
mod manifest;
mod oracle;
mod quant;
mod random;
mod safetensors;
mod store;
mod templates;
mod tokenizers;

use area::{AREAS, Area};
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// What goes wrong is told to a human and ends the program; nothing here is caught and handled.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Records oracles' answers under golden/ and checks that they can be recorded again.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Record and write: the only way a file under golden/ changes
    Regen {
        /// Areas to record; all of them when none is named
        what: Vec<String>,
    },
    /// Record again and fail unless every byte is as it stands
    Verify {
        /// Areas to check; all of them when none is named
        what: Vec<String>,
    },
    /// Record again and show what `regen` would change, tensor by tensor and line by line
    Diff {
        /// Areas to compare; all of them when none is named
        what: Vec<String>,
    },
    /// List the areas
    List,
    /// Print llama.cpp's ids of our prompts for any vocabulary, written nowhere
    Tokenize {
        /// A GGUF file, with or without weights
        #[arg(long)]
        model: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(&Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("golden: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<bool> {
    match command {
        Command::Regen { what } => each(what, store::write),
        Command::Verify { what } => each(what, store::verify),
        Command::Diff { what } => each(what, store::diff),
        Command::List => {
            AREAS.iter().for_each(|area| println!("{:12} {}", area.name, area.about));
            Ok(true)
        }
        Command::Tokenize { model } => {
            print!("{}", ids::foreign(model)?);
            Ok(true)
        }
    }
}

/// Applies `act` to every chosen area, goes on after a difference, and says whether all were fine.
fn each(what: &[String], act: fn(&Area) -> Result<bool>) -> Result<bool> {
    ggml::refuse_unexpected_build()?;
    let mut fine = true;
    for area in area::chosen(what)? {
        fine &= act(area).map_err(|error| format!("{}: {error}", area.name))?;
    }
    Ok(fine)
}
