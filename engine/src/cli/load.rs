//! What every command that loads a model has in common: the file, the scan of its data, and where
//! its tokenizer is.

use super::Output;
use crate::demo;
use crate::error::Result;
use crate::loader::{Container, Gguf, check};
use crate::profile::Profile;
use crate::tokenizer::{Choice, Found, Options, Origin};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// The model to load. Flatten it into a command's arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct LoadArgs {
    /// The model: a GGUF file, or the first part of a split one [default: a small model that is
    /// part of the program]
    #[arg(value_name = "MODEL")]
    pub model: Option<PathBuf>,

    /// How it is read.
    #[command(flatten)]
    pub reading: ReadArgs,

    /// Where the model's tokenizer is.
    #[command(flatten)]
    pub tokenizer: TokenizerArgs,
}

/// How models are read. Part of [`LoadArgs`]; flatten it into commands that load several.
#[derive(Debug, Clone, clap::Args)]
pub struct ReadArgs {
    /// Do not look for NaN, infinities and MXFP4 scale 255 in the data before using it
    #[arg(long)]
    pub no_check: bool,

    /// Threads for reading and computing [default: as many as the machine has]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}

/// Which tokenizer a model gets. Part of [`LoadArgs`]; flatten it into commands that load none.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TokenizerArgs {
    /// Read the tokenizer from this tokenizer.json or GGUF file, not from the model; it must fit
    /// the model's embedding
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,

    /// Cut texts as this pre-tokenizer does, whatever the GGUF file says
    #[arg(long, value_name = "NAME")]
    pub pre: Option<String>,
}

/// Opens a model; without one, the built-in.
pub(super) fn gguf(model: Option<&Path>) -> Result<Gguf> {
    model.map_or_else(demo::open, Gguf::open)
}

/// What a model is called; says on standard error if nobody named one.
pub(super) fn path_of<'p>(model: Option<&'p Path>, output: &mut Output) -> &'p Path {
    model.unwrap_or_else(|| {
        output.say(format!("worker-orcd: no MODEL was named, so this is {}", demo::NAME));
        Path::new(demo::NAME)
    })
}

/// The tokenizer of a model, a vocabulary or a tokenizer.json; without one, the built-in model's.
pub(super) fn found(model: Option<&Path>, choice: &Choice, output: &mut Output) -> Result<Found> {
    let path = path_of(model, output);
    match model {
        Some(model) => Found::open(model, choice),
        None => Found::of_gguf(path, &demo::open()?, choice),
    }
}

impl ReadArgs {
    /// Opens a model (without one, the built-in) and, unless told otherwise, looks through its
    /// data.
    pub fn open(&self, model: Option<&Path>) -> Result<Gguf> {
        let file = gguf(model)?;
        if !self.no_check {
            check::gguf(&file, self.threads)?;
        }
        Ok(file)
    }

    /// How many threads compute.
    pub fn n_threads(&self) -> usize {
        let machine = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.threads.map_or(machine, NonZeroUsize::get)
    }
}

impl TokenizerArgs {
    /// The tokenizer of an open model of either kind.
    pub fn of(&self, path: &Path, container: &Container) -> Result<Found> {
        Found::of(path, container, &self.choice(None, Profile::default()))
    }

    /// Refuses a tokenizer that was named and is not this model's, for commands that may do without
    /// one.
    pub(super) fn check(&self, path: &Path, file: &Gguf, profile: Profile) -> Result<()> {
        if self.tokenizer.is_some() || self.pre.is_some() {
            Found::of_gguf(path, file, &self.choice(None, profile))?;
        }
        Ok(())
    }

    pub(super) fn choice(&self, origin: Option<Origin>, profile: Profile) -> Choice {
        let options = Options { profile, pre: self.pre.clone(), ..Options::default() };
        Choice { file: self.tokenizer.clone(), origin, options }
    }
}
