//! The judge's command line. Runs the suite's cases in this process and prints a scoreboard, or
//! works on results and vector files that lie there already.

mod run;
mod vectors;

use clap::{Args, Parser, Subcommand};
use harness::Case;
use harness::board::{self, Board};
use harness::results::Report;
use harness::{junit, merge, roots};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Judges the embedded engine on this machine.
///
/// Without a subcommand every case runs in this process; what the machine lacks is ignored, with
/// its reason. Green means: something ran, and nothing failed.
#[derive(Debug, Parser)]
#[command(name = "judge", version, args_conflicts_with_subcommands = true, term_width = 100)]
#[command(after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArguments,
}

const AFTER_HELP: &str = "\
Examples:
  cargo judge                        everything, then the scoreboard
  cargo judge mxfp4                  the cases whose name holds 'mxfp4'
  cargo judge --exact NAME           one case, as a red report's last line says
  cargo judge --gate 1               the cases of gate-1 in ci/gates.toml
  REQUIRE=cuda cargo judge           a missing GPU is red instead of ignored
  cargo judge merge A.jsonl B.jsonl  one verdict over several machines

Exit status: 0 green, 1 red, 2 a question that cannot be answered.
Environment: README.md, section Environment.";

/// Which cases run, and how.
#[derive(Debug, Args)]
struct RunArguments {
    /// Run the cases whose name contains this; several mean any of them
    filter: Vec<String>,
    /// Leave out the cases whose name contains this
    #[arg(long, value_name = "FILTER")]
    skip: Vec<String>,
    /// Filters are whole names
    #[arg(long)]
    exact: bool,
    /// Run the cases of one gate of ci/gates.toml: 1, 2, 3 or m0
    #[arg(long, value_name = "N")]
    gate: Option<String>,
    /// Print the names that would run, with the reason for each that would be ignored
    #[arg(long)]
    list: bool,
    /// Print the scoreboard as JSON
    #[arg(long)]
    json: bool,
    /// How many cases run at a time [default: one for each processor]
    #[arg(long, value_name = "N")]
    threads: Option<std::num::NonZeroUsize>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Unites the results of several runs or machines into one verdict.
    ///
    /// Runs of different revisions do not mix. A case that ran beats one that was ignored; a case
    /// that ended differently in two runs is red; so is a case that no run has heard of, and a
    /// report in which nothing ran.
    Merge {
        /// Results files
        #[arg(required = true)]
        results: Vec<PathBuf>,
        /// Write the united results here
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Allow cases that no run has heard of
        #[arg(long)]
        partial: bool,
        /// Print the scoreboard as JSON
        #[arg(long)]
        json: bool,
    },
    /// Writes JUnit XML from a results file
    Junit {
        /// The results [default: those of the last run]
        results: Option<PathBuf>,
        /// Write here instead of the terminal
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Checks, formats and describes the vector files
    #[command(subcommand)]
    Vectors(vectors::Command),
}

/// The judge's `main`. `cases` finds the suite, and is asked only where a command needs it.
pub fn main(
    arguments: impl IntoIterator<Item = OsString>,
    cases: impl FnOnce() -> Vec<Case>,
) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let ended = match cli.command {
        None => run::run(&cli.run, cases()),
        Some(Command::Merge { results, out, partial, json }) => {
            merged(&results, out.as_deref(), partial, json)
        }
        Some(Command::Junit { results, out }) => junit_of(results, out.as_deref()),
        Some(Command::Vectors(command)) => vectors::run(&command),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(what) => {
            eprintln!("error: {what}");
            ExitCode::from(2)
        }
    }
}

fn merged(
    results: &[PathBuf],
    out: Option<&Path>,
    partial: bool,
    json: bool,
) -> Result<bool, String> {
    // Everything that merging refuses is a red verdict, not a misuse.
    let report = match merge::files(results, partial) {
        Ok(report) => report,
        Err(what) => {
            eprintln!("RED  {what}");
            return Ok(false);
        }
    };
    if let Some(out) = out {
        write(out, &report.text().map_err(|error| error.to_string())?)?;
    }
    show(&report, json)
}

fn junit_of(results: Option<PathBuf>, out: Option<&Path>) -> Result<bool, String> {
    let last = || roots::project().join("target/judge/results.jsonl");
    let report = Report::read(&results.unwrap_or_else(last))?;
    let xml = junit::xml(&report)?;
    match out {
        Some(out) => write(out, &xml)?,
        None => run::say(&xml),
    }
    Ok(Board::of(&report).green)
}

/// Prints the scoreboard, and adds it to the CI job's page where there is one. True when green.
fn show(report: &Report, json: bool) -> Result<bool, String> {
    let board = Board::of(report);
    if json {
        run::say(&serde_json::to_string_pretty(&board).map_err(|error| error.to_string())?);
    } else {
        run::say(&board::text::render(&board, run::paint()));
    }
    if let Some(page) = std::env::var_os("GITHUB_STEP_SUMMARY") {
        let open = std::fs::OpenOptions::new().create(true).append(true).open(&page);
        let text = board::markdown::render(&board);
        open.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
            .map_err(|error| format!("GITHUB_STEP_SUMMARY: {error}"))?;
    }
    Ok(board.green)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
