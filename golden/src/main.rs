//! The `golden` tool: records what oracles answer, and is the only writer of recorded files under
//! `golden/`. Knows llama.cpp (linked) and the reference libraries (scripts under `oracles/`).
//! Knows nothing of our engine, which must not record its own judge.

mod alike;
mod area;
mod digest;
mod ggml;
mod gguf;
mod ids;
mod llama;
mod manifest;
mod model;
mod npy;
mod oracle;
mod quant;
mod random;
mod safetensors;
mod store;
mod templates;
mod tokenizers;

use area::Area;
use clap::{Parser, Subcommand};
use model::{ask, bench, elsewhere};
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
        /// Areas to record, or folders of areas; all of them when none is named
        what: Vec<String>,
        #[command(flatten)]
        elsewhere: elsewhere::Elsewhere,
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
    /// Write llama.cpp's logits of token ids as a NumPy matrix, outside golden/
    ///
    /// One thread, f32 cache, no flash attention. With --twin, on the file's exact F32 twin:
    ///
    ///   golden logits --model m.gguf --tokens 1,2,3 --out x.npy --twin
    #[command(verbatim_doc_comment)]
    Logits(ask::Question),
    /// Write every named tensor that llama.cpp computes on the way as safetensors, outside golden/
    ///
    /// Names are llama.cpp's: `l_out-3` is layer 3's. The second tensor of a name is `NAME#1`, and
    /// so on; `ops` in the metadata lists all in order, with the operation that computed each.
    /// Prompts of more than 512 tokens leave out attention scores (`kq…`).
    Trace(ask::Question),
    /// Time llama.cpp's prefill and decode like llama-bench, as one line of JSON
    ///
    /// Its best build has another instruction set than recordings have: ci/bench-cpu.sh makes it.
    Bench(bench::Bench),
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
        Command::Regen { elsewhere, .. } if elsewhere.asked() => elsewhere.record().map(|()| true),
        Command::Regen { what, .. } => each(what, store::write),
        Command::Verify { what } => each(what, store::verify),
        Command::Diff { what } => each(what, store::diff),
        Command::List => {
            area::all()?.iter().for_each(|area| println!("{:24} {}", area.name, area.about));
            Ok(true)
        }
        Command::Tokenize { model } => {
            print!("{}", ids::foreign(model)?);
            Ok(true)
        }
        Command::Logits(question) => ask::logits(question).map(|()| true),
        Command::Trace(question) => ask::trace(question).map(|()| true),
        Command::Bench(bench) => bench::run(bench).map(|()| true),
    }
}

/// Applies `act` to every chosen area, goes on after a difference, and says whether all were fine.
fn each(what: &[String], act: fn(&Area) -> Result<bool>) -> Result<bool> {
    ggml::refuse_unexpected_build()?;
    let mut fine = true;
    for area in area::chosen(what)? {
        fine &= act(&area).map_err(|error| format!("{}: {error}", area.name))?;
    }
    Ok(fine)
}
