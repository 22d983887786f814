//! What every command that computes has in common: model, profile, device, threads. Commands
//! are written once for all devices: they are a [`Work`], and the device is chosen here.

use super::progress::Progress;
use super::{LoadArgs, Output, ReadArgs, TokenizerArgs, load, tokens};
use crate::backend::Backend;
use crate::backend::cpu::Cpu;
use crate::backend::cpu::matmul::Precision;
use crate::backend::cuda::Cuda;
use crate::cost::Cost;
use crate::error::{Error, Result, shown};
use crate::kv;
use crate::loader::Gguf;
use crate::model::{self, Description, Model};
use crate::profile::Profile;
use crate::tokenizer::{Found, Tokenizer};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Which model, and how it is computed. Flatten it into a command's arguments.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ComputeArgs {
    #[command(flatten)]
    pub(super) load: LoadArgs,

    #[command(flatten)]
    place: PlaceArgs,
}

/// Where models are computed, and as whom. Part of [`ComputeArgs`]; flatten it into commands that
/// take several.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct PlaceArgs {
    /// Whose reading of the model wins where sources disagree: 'reference' (its maker's), or
    /// 'llama.cpp' (that engine's approximations, to compare with it)
    #[arg(long, default_value = "reference")]
    profile: Profile,

    /// Where to compute: cpu, or a CUDA device such as cuda:0 (see 'worker-orcd devices')
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    backend: Device,

    /// How activations enter products: 'exact' (as they are), or 'fast' (on the CPU rounded to 8
    /// bits wherever a matrix holds codes, on CUDA to 11 bits in prompts)
    #[arg(long, default_value = "exact")]
    precision: Precision,

    /// How keys and values are kept: f32 or f16 [default: f32 on the CPU, f16 on a CUDA device]
    #[arg(long, value_name = "TYPE")]
    kv: Option<kv::Precision>,
}

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Device {
    /// The processor.
    Cpu,
    /// A CUDA device, by the driver's number.
    Cuda(usize),
}

impl FromStr for Device {
    type Err = String;

    fn from_str(name: &str) -> Result<Device, String> {
        let number = |rest: &str| match rest {
            "" => Some(0),
            rest => rest.strip_prefix(':')?.parse().ok(),
        };
        match (name, name.strip_prefix("cuda").and_then(number)) {
            ("cpu", _) => Ok(Device::Cpu),
            (_, Some(ordinal)) => Ok(Device::Cuda(ordinal)),
            _ => Err("there are 'cpu' and 'cuda:N'".to_string()),
        }
    }
}

/// A model that is ready to run.
pub(super) struct Ready<B: Backend> {
    /// The machine.
    pub(super) backend: B,
    /// The model.
    pub(super) model: Model<B>,
    /// Its file.
    pub(super) file: Arc<Gguf>,
    /// What the file is called.
    pub(super) name: String,
    /// What its tokens cost.
    pub(super) cost: Cost,
    /// From opening its file until it was ready.
    pub(super) loading: Duration,
    /// How keys and values are kept.
    pub(super) kv: kv::Precision,
    path: PathBuf,
    profile: Profile,
}

impl<B: Backend> Ready<B> {
    /// The model's tokenizer: the one that was named, the model's own, or a tokenizer.json beside
    /// it; checked against the rows of the model's embedding. Says on standard error what it is.
    pub(super) fn tokenizer(&self, args: &TokenizerArgs, output: &mut Output) -> Result<Tokenizer> {
        let choice = args.choice(None, self.profile);
        let found = Found::of_gguf(&self.path, &self.file, &choice);
        let facts = tokens::facts(&found);
        let tokenizer = found?.tokenizer;
        let facts: Vec<_> = facts.iter().map(|(name, fact)| format!("{name}: {fact}")).collect();
        output.say(facts.join("; "));
        Ok(tokenizer)
    }
}

/// What a command does once a model is loaded, on whatever device.
pub(super) trait Work {
    /// Does it.
    fn run<B: Backend>(&self, ready: Ready<B>, output: &mut Output) -> Result<()>;
}

impl ComputeArgs {
    /// Hands the model to `work`.
    pub(super) fn run(&self, work: &impl Work, output: &mut Output) -> Result<()> {
        let LoadArgs { model, reading, tokenizer } = &self.load;
        self.place.run(model.as_deref(), reading, tokenizer, work, output)
    }
}

impl PlaceArgs {
    /// The precision that was asked for.
    pub(super) fn precision(&self) -> Precision {
        self.precision
    }

    /// Opens and describes a model, loads it onto the device and hands it to `work`.
    pub(super) fn run(
        &self,
        model: Option<&Path>,
        reading: &ReadArgs,
        tokenizer: &TokenizerArgs,
        work: &impl Work,
        output: &mut Output,
    ) -> Result<()> {
        let started = Instant::now();
        let path = load::path_of(model, output);
        let file = Arc::new(reading.open(model)?);
        let name = shown(path.as_os_str().as_encoded_bytes());
        file.warnings().iter().for_each(|warning| output.warn(format!("{name}: {warning}")));
        let description = model::describe(&file, self.profile)?;
        tokenizer.check(path, &file, self.profile)?;
        match self.backend {
            Device::Cpu => {
                let cpu = Cpu::new(reading.n_threads(), self.precision);
                let ready = self.ready(cpu, path, file, description)?;
                ready.backend.remark().iter().for_each(|remark| output.warn(remark));
                work.run(Ready { loading: started.elapsed(), ..ready }, output)
            }
            Device::Cuda(ordinal) => {
                let text = format!("opening cuda:{ordinal}; new kernels are compiled once");
                let bar = Progress::waiting(text);
                let cuda = Cuda::open(ordinal)?;
                let cuda = if self.precision == Precision::Fast { cuda.fast() } else { cuda };
                drop(bar);
                let ready = self.ready(cuda, path, file, description)?;
                work.run(Ready { loading: started.elapsed(), ..ready }, output)
            }
        }
    }

    fn ready<B: Backend>(
        &self,
        mut backend: B,
        path: &Path,
        file: Arc<Gguf>,
        description: Description,
    ) -> Result<Ready<B>> {
        let cost = Cost::of(&file, &description);
        let mut bar = Progress::steps(description.architecture.layers.len());
        bar.say(format!("loading onto {}", backend.name()));
        let model = Model::load(&mut backend, &file, description, |_| bar.add(1))?;
        drop(bar);
        let (path, name) = (path.to_owned(), path.to_string_lossy().into_owned());
        let kv = self.kv.unwrap_or(backend.usual_kv());
        let (loading, profile) = (Duration::ZERO, self.profile);
        Ok(Ready { backend, model, file, name, cost, loading, kv, path, profile })
    }
}

/// Token ids: `1,2,3`, or `@FILE` with ids separated by white space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tokens(pub(super) Vec<u32>);

impl FromStr for Tokens {
    type Err = String;

    fn from_str(text: &str) -> Result<Tokens, String> {
        let ids = match text.strip_prefix('@') {
            Some(path) => {
                std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", shown(path)))?
            }
            None => text.replace(',', " "),
        };
        let id = |word: &str| word.parse::<u32>().map_err(|e| format!("{}: {e}", shown(word)));
        let ids: Vec<u32> = ids.split_whitespace().map(id).collect::<Result<_, _>>()?;
        if ids.is_empty() { Err("no token".into()) } else { Ok(Tokens(ids)) }
    }
}

/// Writes a file whole or not at all.
pub(super) fn write_file(path: &std::path::Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|e| Error::io("write", path, e))
}
