//! Records a model that is no fixture, outside `golden/`: `golden regen --model F --prompt P --out
//! DIR`. Knows what of a recording makes sense for a file of any size.

use super::inputs::{self, Questions};
use super::perplexity::CHUNK;
use super::prompt::Prompt;
use super::record::{self, Asked};
use crate::{Result, ggml};
use clap::Args;
use std::fs;
use std::path::PathBuf;

/// A model, a prompt and a folder outside golden/.
#[derive(Args)]
pub(crate) struct Elsewhere {
    /// Record this GGUF file instead of the fixtures
    #[arg(long, requires = "prompt", requires = "out", conflicts_with = "what")]
    model: Option<PathBuf>,
    /// Its prompt: a text, or `@FILE`; the last tokens' layers and logits are kept
    #[arg(long, requires = "model")]
    prompt: Option<String>,
    /// Where to write; the folder is made
    #[arg(long, requires = "model")]
    out: Option<PathBuf>,
    /// A text to measure perplexity on, kept beside the answers [default: inputs/corpus.txt]
    #[arg(long, requires = "model")]
    corpus: Option<PathBuf>,
}

/// Prompts of at most so many tokens keep every tap of every row.
const FULL: usize = 24;
/// Rows kept of a longer one.
const ROWS: usize = 32;

impl Elsewhere {
    pub(crate) fn asked(&self) -> bool {
        self.model.is_some()
    }

    pub(crate) fn record(&self) -> Result<()> {
        ggml::refuse_unexpected_build()?;
        let model = self.model.as_ref().ok_or("no model")?;
        let out = self.out.as_ref().ok_or("no folder")?;
        let prompt = self.prompt.as_deref().ok_or("no prompt")?;
        let text = match prompt.strip_prefix('@') {
            Some(path) => fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?,
            None => prompt.into(),
        };
        let own = self.corpus.as_ref().map(fs::read_to_string).transpose()?;
        if own.as_ref().is_some_and(|own| own.len() < 2 * CHUNK) {
            return Err(format!("a corpus needs two chunks of {CHUNK} tokens").into());
        }
        let corpus = Some(own.clone().map_or_else(inputs::corpus, Ok)?);
        let questions = Questions::read()?;
        let recording = record::model(model, questions.continued_tokens, |twin| {
            let ids = twin.tokenize(&text, true, true)?;
            let full = ids.len() <= FULL;
            let first = if full { 0 } else { ids.len() - ROWS.min(ids.len()) };
            let rows = (first..ids.len()).collect();
            let prompt = Prompt { name: "prompt", ids, rows, full, without: vec![] };
            Ok(Asked { prompts: vec![prompt], continued: vec![text.clone()], corpus })
        })?;
        fs::create_dir_all(out)?;
        if let Some(own) = own {
            fs::write(out.join("corpus.txt"), own)?;
        }
        for (name, bytes) in &recording.files {
            fs::write(out.join(name), bytes)?;
            println!("{}: {} bytes", out.join(name).display(), bytes.len());
        }
        Ok(())
    }
}
