//! What every command that loads a model has in common: the file, and the scan of its data.

use crate::error::Result;
use crate::loader::{Gguf, check};
use std::num::NonZeroUsize;
use std::path::PathBuf;

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
}
