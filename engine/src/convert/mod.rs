//! A Hugging Face folder as a GGUF file: config.json becomes keys, safetensors become tensors under
//! llama.cpp's names, the tokenizer becomes a vocabulary. Says what the file shall hold and hands
//! out each tensor's bytes; which formats it gets and how it is written is the caller's business.
//!
//! A folder that lacks something, has something that belongs nowhere, or contradicts itself is
//! refused before anything is written.

mod arrange;
mod config;
mod families;
mod source;
mod tensors;
mod vocabulary;

pub use arrange::Arranged;

use crate::error::Result;
use crate::loader::gguf::Value;
use config::Config;
use source::Source;
use std::path::Path;
use tensors::Wanted;

/// An open folder, and what its GGUF file shall hold.
#[derive(Debug)]
pub struct Conversion {
    source: Source,
    keys: Vec<(String, Value)>,
    wanted: Vec<Wanted>,
    layers: usize,
    tied: bool,
}

/// A tensor that the file shall hold.
#[derive(Debug, Clone, Copy)]
pub struct Tensor<'c> {
    /// Its name in the GGUF file.
    pub name: &'c str,
    wanted: &'c Wanted,
    source: &'c Source,
}

impl Conversion {
    /// Opens a folder and proves that it holds a model that we know. `name` is what the model shall
    /// be called; without it, what the folder is called.
    pub fn open(folder: &Path, name: Option<&str>) -> Result<Conversion> {
        let config = Config::read(&folder.join("config.json"))?;
        let source = Source::open(folder)?;
        let folder_name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy();
        let family = families::of(&config)?;
        let mut keys: Vec<(String, Value)> = vec![
            ("general.architecture".into(), family.name.into()),
            ("general.type".into(), "model".into()),
            ("general.name".into(), name.unwrap_or(&folder_name).into()),
        ];
        let described = (family.describe)(&config, &source)?;
        let own = described.keys.into_iter();
        keys.extend(own.map(|(key, value)| (format!("{}.{key}", family.name), value)));
        keys.extend(vocabulary::keys(folder, &config)?);
        let wanted = described.tensors;
        wanted.iter().try_for_each(|wanted| wanted.prove(&source))?;
        source.refuse_surplus(&wanted)?;
        let tied = !wanted.iter().any(|wanted| wanted.name == "output.weight");
        Ok(Conversion { source, keys, wanted, layers: described.layers, tied })
    }

    /// The file's keys, but for those that tell how it is stored.
    pub fn keys(&self) -> &[(String, Value)] {
        &self.keys
    }

    /// The file's tensors, in order.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = Tensor<'_>> + Clone {
        let source = &self.source;
        self.wanted.iter().map(move |wanted| Tensor { name: &wanted.name, wanted, source })
    }

    /// How many blocks the model has.
    pub fn layers(&self) -> usize {
        self.layers
    }

    /// Whether the embedding makes the logits too.
    pub fn tied(&self) -> bool {
        self.tied
    }

    /// Refuses a folder that changed while it was read.
    pub fn verify_unchanged(&self) -> Result<()> {
        self.source.verify_unchanged()
    }
}

impl<'c> Tensor<'c> {
    /// Its bytes in the format and the order of the source.
    pub fn data(&self) -> Result<Arranged<'c>> {
        self.wanted.data(self.source)
    }

    /// Its dimensions as GGUF has them, fastest first.
    pub fn shape(&self) -> Vec<u64> {
        self.wanted.shape.iter().rev().copied().collect()
    }

    /// The format that `data` will have.
    pub fn format(&self) -> Result<&'static crate::quant::Format> {
        self.wanted.format(self.source)
    }
}
