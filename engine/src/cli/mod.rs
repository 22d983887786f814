//! The command line: one file per subcommand. Knows how a command ends, whatever it does: exit code
//! 0 fine, 1 anything else, 2 usage, 3 the file was refused, 86 a lost device; one line on stderr
//! says why. Writes
//! only to what it is given, so that cases can run it in process.

mod answer;
mod arrays;
mod bench;
mod chat_prompt;
mod compute;
mod convert;
mod detokenize;
mod devices;
mod human;
mod inspect;
mod json;
mod kernels;
mod load;
mod logits;
mod needs;
mod paint;
mod perplexity;
mod progress;
mod quantize;
mod reencode;
mod rows;
mod run;
mod speed;
mod synth;
mod tables;
mod text;
mod tokenize;
mod tokens;
mod trace;

pub use load::{LoadArgs, ReadArgs, TokenizerArgs};

use crate::error::{Error, Result};
use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};

/// A compact LLM inference worker.
#[derive(Debug, Parser)]
#[command(name = "worker-orcd", version, about, arg_required_else_help = true, term_width = 100)]
#[command(after_help = "\
Exit codes of every command:
  0  fine
  1  anything else (a file that cannot be read, a device that fails)
  2  the command line was wrong
  3  the file was refused; one line on stderr gives the class, the place and the numbers
  86 a CUDA device was lost; only a new process gets it back

Examples:
  worker-orcd run -p 'Write a haiku about rain.' --chat
                                             the built-in model; name another one to use it
  worker-orcd inspect model.gguf             what is in this file?
  worker-orcd inspect model.gguf --check     and is its data sound?
  worker-orcd tokenize model.gguf 'Hello world'
  worker-orcd detokenize model.gguf --ids 9906,1917
  worker-orcd perplexity model.gguf -f wiki.test.raw
  worker-orcd bench model.gguf               how fast is it here?
  worker-orcd quantize in.gguf out.gguf --type Q8_0
  worker-orcd convert Qwen2.5-0.5B-Instruct out.gguf --type Q4_K_M
  worker-orcd synth gpt2 --out random.gguf   a model of random weights, to measure with")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Inspect(inspect::Inspect),
    Run(run::Run),
    Tokenize(tokenize::Tokenize),
    Detokenize(detokenize::Detokenize),
    Logits(logits::Logits),
    Trace(trace::Trace),
    Perplexity(perplexity::Perplexity),
    Bench(bench::Bench),
    Quantize(quantize::Quantize),
    Convert(convert::Convert),
    Synth(synth::Synth),
    Devices(devices::Devices),
    Kernels(kernels::Kernels),
}

impl Command {
    fn run(&self, out: &mut Output) -> Result<()> {
        match self {
            Command::Inspect(inspect) => inspect.run(out),
            Command::Run(run) => run.run(out),
            Command::Tokenize(tokenize) => tokenize.run(out),
            Command::Detokenize(detokenize) => detokenize.run(out),
            Command::Logits(logits) => logits.run(out),
            Command::Trace(trace) => trace.run(out),
            Command::Perplexity(perplexity) => perplexity.run(out),
            Command::Bench(bench) => bench.run(out),
            Command::Quantize(quantize) => quantize.run(out),
            Command::Convert(convert) => convert.run(out),
            Command::Synth(synth) => synth.run(out),
            Command::Devices(devices) => devices.run(out),
            Command::Kernels(kernels) => kernels.run(out),
        }
    }
}

/// Where a command writes.
pub struct Output<'a> {
    /// What was asked for.
    pub out: &'a mut dyn Write,
    /// What went wrong, or might.
    pub err: &'a mut dyn Write,
}

impl Output<'_> {
    /// Writes what was asked for.
    pub fn print(&mut self, text: impl std::fmt::Display) -> Result<()> {
        writeln!(self.out, "{text}").map_err(out_failed)
    }

    /// Writes what is worth knowing beside the answer. What cannot be written stops nothing.
    pub fn say(&mut self, text: impl std::fmt::Display) {
        let _ = writeln!(self.err, "{text}");
    }

    /// Writes a warning. One that cannot be written stops nothing.
    pub fn warn(&mut self, text: impl std::fmt::Display) {
        let _ = writeln!(self.err, "worker-orcd: warning: {text}");
    }
}

/// Writing the answer failed.
pub(crate) fn out_failed(source: io::Error) -> Error {
    Error::io("write to", "standard output", source)
}

/// Runs a command line, program name first, and returns the exit code.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let mut output = Output { out, err };
    let result = match CommandLine::try_parse_from(arguments) {
        Ok(line) => line.command.run(&mut output),
        Err(told) if told.use_stderr() => {
            let _ = write!(output.err, "{}", told.render());
            return 2;
        }
        Err(told) => write!(output.out, "{}", told.render()).map_err(out_failed),
    };
    match result.and_then(|()| output.out.flush().map_err(out_failed)) {
        Ok(()) => 0,
        // The reader has seen enough (`worker-orcd inspect … | head`).
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::BrokenPipe => 0,
        Err(e) => {
            let _ = writeln!(output.err, "worker-orcd: {e}");
            e.exit_code()
        }
    }
}
