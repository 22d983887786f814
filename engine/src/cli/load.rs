//! What every command that loads a model has in common: the file, the scan of its data, and where
//! its tokenizer is.

use crate::error::Result;
use crate::loader::{Container, Gguf, check};
use crate::profile::Profile;
use crate::tokenizer::{Choice, Found, Options, Origin};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// The model to load. Flatten it into a command's arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct LoadArgs {
    /// The model: a GGUF file, or the first part of a split one
    #[arg(value_name = "FILE")]
    pub model: PathBuf,

    /// Do not look for NaN, infinities and MXFP4 scale 255 in the data before using it
    #[arg(long)]
    pub no_check: bool,

    /// Threads for reading and computing [default: as many as the machine has]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,

    /// Where the model's tokenizer is.
    #[command(flatten)]
    pub tokenizer: TokenizerArgs,
}

/// Which tokenizer a model gets. Part of [`LoadArgs`]; flatten it into commands that load none.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TokenizerArgs {
    /// Read the tokenizer from this tokenizer.json or GGUF file, not from the model
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,

    /// Cut texts as this pre-tokenizer does, whatever the GGUF file says
    #[arg(long, value_name = "NAME")]
    pub pre: Option<String>,
}

impl LoadArgs {
    /// Opens the model and, unless told otherwise, looks through its data.
    pub fn open(&self) -> Result<Gguf> {
        let file = Gguf::open(&self.model)?;
        if !self.no_check {
            check::gguf(&file, self.threads)?;
        }
        Ok(file)
    }

    /// The tokenizer of the model that [`LoadArgs::open`] gave: the one that was named, the model's
    /// own, or a tokenizer.json beside it; checked against the rows of the model's embedding.
    pub fn tokenizer(&self, file: &Gguf, profile: Profile) -> Result<Found> {
        Found::of_gguf(&self.model, file, &self.tokenizer.choice(None, profile))
    }
}

impl TokenizerArgs {
    /// The tokenizer of an open model of either kind.
    pub fn of(&self, path: &Path, container: &Container) -> Result<Found> {
        Found::of(path, container, &self.choice(None, Profile::default()))
    }

    pub(super) fn choice(&self, origin: Option<Origin>, profile: Profile) -> Choice {
        let options = Options { profile, pre: self.pre.clone(), ..Options::default() };
        Choice { file: self.tokenizer.clone(), origin, options }
    }
}
