//! `worker-orcd synth`: a model of random weights.

use super::progress::Progress;
use super::{Output, human, rows, tables};
use crate::error::{Error, Result, shown};
use crate::loader::Gguf;
use crate::quant::{self, Format};
use crate::synth::{self, Description, Options, Plan, Recipe};
use std::num::NonZeroUsize;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Shapes with a name: gpt-oss-20b, gpt-oss-120b, qwen2.5-0.5b, qwen2.5-7b, phi-3-mini, llama-3.1-8b,
gpt2; exactly the tensors and formats of the published files. Weights and text mean nothing, but
activations and logits stay finite and spread, and llama.cpp loads the file too: good for measuring
speed and memory, and for tests.

A description of your own is a TOML file:
  about = \"two layers\"
  tensors = [
      { name = \"token_embd.weight\", type = \"Q8_0\", shape = [96, 300] },
      { name = \"blk.N.attn_norm.weight\", type = \"F32\", shape = [96] },    # N: one a layer
      …
      { name = \"output_norm.weight\", type = \"F32\", shape = [96] },
  ]
  [metadata]                     # whole numbers are u32, fractions f32; else { u64 = 3 }
  \"general.architecture\" = \"llama\"
  \"llama.block_count\" = 2
  …
  [vocabulary]                   # bpe and spm: every byte, a few merges, then fillers
  kind = \"none\"                  # bpe, spm, or none: the model runs on token ids
  size = 300
A tensor may also have std = …, values = […] instead of random ones (F32), and more = \"Q6_K\": its
format in the layers to which Q4_K_M gives more bits.

The same shape and seed give the same bytes on any machine, with any number of threads.

Examples:
  worker-orcd synth gpt-oss-20b --out gpt-oss-20b-random.gguf
  worker-orcd synth gpt-oss-120b --dry-run             every tensor, and how large the file would be
  worker-orcd synth gpt-oss-20b --layers 4 --experts f16 --out small.gguf
  worker-orcd synth ./odd.toml --seed 7 --out odd.gguf";

/// Write a model of random weights, in the shape of a real one or any other
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Synth {
    /// Name of a shape, or a path that ends in .toml
    shape: String,

    /// The file to write; it appears when it is complete
    #[arg(long, value_name = "FILE", required_unless_present = "dry_run")]
    out: Option<PathBuf>,

    /// Another seed, other weights
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Another format for the weights of experts: mxfp4, f16, q8_0, …
    #[arg(long, value_name = "TYPE", value_parser = made)]
    experts: Option<&'static Format>,

    /// Another number of layers
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    layers: Option<u32>,

    /// Print every tensor and the size of the file, and write nothing
    #[arg(long)]
    dry_run: bool,

    /// Replace FILE if it exists
    #[arg(long)]
    force: bool,

    /// Threads [default: as many as the machine has]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

fn made(name: &str) -> std::result::Result<&'static Format, String> {
    let names = Recipe::names();
    let format = quant::by_name(name).filter(|format| names.contains(&format.name));
    format.ok_or_else(|| format!("cannot be made at random; these can: {}", names.join(", ")))
}

impl Synth {
    pub(super) fn run(&self, output: &mut Output) -> Result<()> {
        let options = Options { seed: self.seed, experts: self.experts, layers: self.layers };
        let plan = Plan::new(&self.description()?, &options)?;
        let tensors = rows::of_layout(plan.layout());
        let size = format!("{} ({} bytes)", human::bytes(plan.bytes()), plan.bytes());
        let Some(out) = self.out.as_ref().filter(|_| !self.dry_run) else {
            output.print(tables::tensors(&tensors))?;
            if let Some(types) = tables::types(&tensors) {
                output.print(types)?;
            }
            return output.print(format!("{} tensors; the file would have {size}", tensors.len()));
        };
        let path = shown(out.as_os_str().as_encoded_bytes());
        if out.exists() && !self.force {
            return Err(Error::Usage(format!("{path} exists; --force replaces it")));
        }
        let mut progress = Progress::new(tensors.iter().map(|row| row.bytes).sum());
        let threads = self.threads.or_else(|| std::thread::available_parallelism().ok());
        let mut stream = plan.writer().create(out)?;
        plan.write(&mut stream, threads.map_or(1, NonZeroUsize::get), |name, bytes| {
            progress.tensor(name);
            progress.add(bytes);
        })?;
        stream.finish_file()?;
        drop(progress);
        let written = Gguf::open(out)?.tensors().len();
        output.print(format!("{path}: {written} tensors, {size}"))
    }

    fn description(&self) -> Result<Description> {
        let path = PathBuf::from(&self.shape);
        match path.extension().is_some_and(|ending| ending == "toml") {
            true => Description::open(&path),
            false => synth::by_name(&self.shape),
        }
    }
}
