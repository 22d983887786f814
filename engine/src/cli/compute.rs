//! What every command that computes has in common: model, profile, device, threads. Commands
//! are written once for all devices: they are a [`Work`], and the device is chosen here.

use super::{LoadArgs, Output};
use crate::backend::Backend;
use crate::backend::cpu::Cpu;
use crate::backend::cpu::matmul::Precision;
use crate::backend::cuda::Cuda;
use crate::error::{Error, Result, shown};
use crate::loader::Gguf;
use crate::model::{self, Description, Model};
use crate::profile::Profile;
use std::str::FromStr;
use std::sync::Arc;

/// Which model, and how it is computed. Flatten it into a command's arguments.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ComputeArgs {
    #[command(flatten)]
    pub(super) load: LoadArgs,

    /// Whose reading of the model wins where sources disagree: 'reference' (its maker's), or
    /// 'llama.cpp' (that engine's approximations, to compare with it)
    #[arg(long, default_value = "reference")]
    pub(super) profile: Profile,

    /// Where to compute: cpu, or a CUDA device such as cuda:0 (see 'worker-orcd devices')
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub(super) backend: Device,

    /// How activations enter products on the CPU: 'exact' (as they are), or 'fast' (rounded to 8
    /// bits wherever a matrix holds codes)
    #[arg(long, default_value = "exact")]
    pub(super) precision: Precision,
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
}

/// What a command does once a model is loaded, on whatever device.
pub(super) trait Work {
    /// Does it.
    fn run<B: Backend>(&self, ready: Ready<B>, output: &mut Output) -> Result<()>;
}

impl ComputeArgs {
    /// Opens and describes the model, loads it onto the device and hands it to `work`.
    pub(super) fn run(&self, work: &impl Work, output: &mut Output) -> Result<()> {
        let file = Arc::new(self.load.open()?);
        let name = shown(self.load.model.as_os_str().as_encoded_bytes());
        file.warnings().iter().for_each(|warning| output.warn(format!("{name}: {warning}")));
        let description = model::describe(&file, self.profile)?;
        match self.backend {
            Device::Cpu => {
                let cpu = Cpu::new(self.n_threads(), self.precision);
                work.run(self.ready(cpu, file, description)?, output)
            }
            Device::Cuda(ordinal) => {
                work.run(self.ready(Cuda::open(ordinal)?, file, description)?, output)
            }
        }
    }

    /// Threads that compute.
    fn n_threads(&self) -> usize {
        let threads = self.load.threads.or_else(|| std::thread::available_parallelism().ok());
        threads.map_or(1, |threads| threads.get())
    }

    fn ready<B: Backend>(
        &self,
        mut backend: B,
        file: Arc<Gguf>,
        description: Description,
    ) -> Result<Ready<B>> {
        let model = Model::load(&mut backend, &file, description, |_| ())?;
        Ok(Ready { backend, model, file })
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
