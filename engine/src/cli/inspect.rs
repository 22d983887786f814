//! `worker-orcd inspect`: what is in a model file.

use super::load::{self, TokenizerArgs};
use super::needs::{self, Needs};
use super::{Output, human, json, rows, tables};
use crate::demo;
use crate::error::{Result, shown};
use crate::loader::{Container, check};
use crate::tokenizer::Found;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  worker-orcd inspect model.gguf                   summary, types, metadata
  worker-orcd inspect model.gguf --tensors         every tensor
  worker-orcd inspect model.gguf --check           look for NaN and infinities in the data
  worker-orcd inspect model-00001-of-00003.gguf    a split model: name its first part
  worker-orcd inspect model.gguf --json | jq .metadata";

/// Show what is in a model file: GGUF (also split) or safetensors
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}", json::ABOUT))]
pub(super) struct Inspect {
    /// The file; of a split model, the first part [default: a small model that is part of the
    /// program]
    file: Option<PathBuf>,

    /// Print everything as one line of JSON (see --help)
    #[arg(long)]
    json: bool,

    /// List the tensors instead of the summary
    #[arg(long)]
    tensors: bool,

    /// List the metadata instead of the summary
    #[arg(long)]
    metadata: bool,

    /// Read all tensor data and refuse NaN, infinities and MXFP4 scale 255
    #[arg(long)]
    check: bool,

    /// Threads for --check [default: as many as the machine has]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,

    #[command(flatten)]
    tokenizer: TokenizerArgs,
}

/// What was made of a file beyond its container, where anybody asked.
#[derive(Clone, Copy)]
pub(super) struct Understood<'a> {
    pub(super) tokenizer: Option<&'a Result<Found>>,
    pub(super) needs: Option<&'a Result<Needs>>,
}

impl Inspect {
    pub(super) fn run(&self, output: &mut Output) -> Result<()> {
        let path = load::path_of(self.file.as_deref(), output);
        let container = match &self.file {
            Some(file) => Container::open(file)?,
            None => Container::Gguf(demo::open()?),
        };
        if let Container::Gguf(file) = &container {
            let name = shown(path.as_os_str().as_encoded_bytes());
            file.warnings().iter().for_each(|warning| output.warn(format!("{name}: {warning}")));
        }
        let scanned = match self.check {
            true => Some(match &container {
                Container::Gguf(file) => check::gguf(file, self.threads)?,
                Container::SafeTensors(file) => check::safetensors(file, self.threads)?,
            }),
            false => None,
        };
        let all = !self.metadata && !self.tensors;
        let asked = (all || self.json) && self.has_tokenizer(path, &container);
        let tokenizer = asked.then(|| self.tokenizer.of(path, &container));
        let needs = (all || self.json).then(|| needs::of(&container)).flatten();
        let found = Understood { tokenizer: tokenizer.as_ref(), needs: needs.as_ref() };
        if self.json {
            return json::write(&container, found, output.out);
        }
        self.print_tables(path, &container, found, output)?;
        if let Some(check::Scanned { tensors, bytes }) = scanned {
            let bytes = human::bytes(bytes);
            output.print(format!("checked: {tensors} tensors, {bytes}: every number is finite"))?;
        }
        Ok(())
    }

    fn has_tokenizer(&self, path: &Path, container: &Container) -> bool {
        self.tokenizer.tokenizer.is_some() || Found::is_there(path, container)
    }

    fn print_tables(
        &self,
        path: &Path,
        container: &Container,
        found: Understood,
        output: &mut Output,
    ) -> Result<()> {
        let all = !self.metadata && !self.tensors;
        if all {
            output.print(tables::summary(container, path, found))?;
            if let Some(Err(error)) = found.tokenizer {
                output.print(format!("tokenizer refused: {error}"))?;
            }
            // A vocabulary alone has no tensors.
            if let Some(types) = tables::types(&rows::rows(container)) {
                output.print(types)?;
            }
        }
        if all || self.metadata {
            output.print(tables::metadata(container))?;
        }
        if self.tensors {
            output.print(tables::tensors(&rows::rows(container)))?;
        }
        Ok(())
    }
}
