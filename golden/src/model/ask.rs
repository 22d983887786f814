//! Answers to one question about any file, written wherever the caller wants: nothing here is
//! recorded under `golden/`.

use crate::llama::Model;
use crate::llama::session::{ROWS_A_GRAPH, Rows, Session, Settings};
use crate::llama::taps::{self, Tap, Values};
use crate::llama::twin::Twin;
use crate::safetensors::{File, Tensor};
use crate::{Result, ggml, npy};
use clap::Args;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What is asked, and where the answer goes.
#[derive(Args)]
pub(crate) struct Question {
    /// A GGUF file with weights
    #[arg(long)]
    model: PathBuf,
    /// Token ids: `1,2,3`, or `@FILE` with ids separated by blanks or commas
    #[arg(long)]
    tokens: String,
    /// The file to write
    #[arg(long)]
    out: PathBuf,
    /// Ask about the F32 twin (every tensor decoded exactly) instead of the file itself
    #[arg(long)]
    twin: bool,
    /// Positions of the context, which choose LongRoPE's factors [default: as many as tokens]
    #[arg(long)]
    ctx: Option<usize>,
}

impl Question {
    fn ids(&self) -> Result<Vec<i32>> {
        let text = match self.tokens.strip_prefix('@') {
            Some(path) => fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?,
            None => self.tokens.clone(),
        };
        let words = text.split([',', ' ', '\n', '\t', '\r']).filter(|word| !word.is_empty());
        let ids: Vec<i32> = words
            .map(|word| word.parse().map_err(|_| format!("'{word}' is no token id")))
            .collect::<std::result::Result<_, _>>()?;
        if ids.is_empty() { Err("no token ids".into()) } else { Ok(ids) }
    }

    /// Loads what is asked about, and lets `answer` look at it.
    fn put<T>(&self, answer: impl FnOnce(&Model, &[i32], Settings) -> Result<T>) -> Result<T> {
        ggml::refuse_unexpected_build()?;
        let ids = self.ids()?;
        let twin = self.twin.then(|| Twin::of(&self.model)).transpose()?;
        let path: &Path = twin.as_ref().map_or(&self.model, |twin| &twin.path);
        let model = Model::load(path)?;
        let n_vocab = model.n_vocab();
        if let Some(id) = ids.iter().find(|id| usize::try_from(**id).is_ok_and(|id| id >= n_vocab))
        {
            return Err(format!("token {id} of a vocabulary of {n_vocab}").into());
        }
        answer(&model, &ids, Settings::exact(self.ctx.unwrap_or(ids.len())))
    }
}

/// `golden logits`: f32, one row a token.
pub(crate) fn logits(question: &Question) -> Result<()> {
    let (logits, width) = question.put(|model, ids, settings| {
        let logits = Session::new(model, settings, None)?.decode(ids, Rows::All)?;
        Ok((logits, model.n_vocab()))
    })?;
    fs::write(&question.out, npy::matrix(&logits, width))?;
    println!("{}: {} rows of {width} logits", question.out.display(), logits.len() / width);
    Ok(())
}

/// `golden trace`: every tap, with its operation in the metadata.
pub(crate) fn trace(question: &Question) -> Result<()> {
    let (taps, ids) = question.put(|model, ids, settings| {
        let wanted = if ids.len() <= ROWS_A_GRAPH { |_: &str| true } else { taps::joinable };
        let mut session = Session::new(model, settings, Some(wanted))?;
        session.decode(ids, Rows::All)?;
        Ok((session.taps(), ids.to_vec()))
    })?;
    let mut file = File { metadata: ggml::provenance(), tensors: tensors(&taps) };
    file.metadata.insert("ids".into(), serde_json::to_string(&ids)?);
    file.metadata.insert("ops".into(), ops(&taps)?);
    fs::write(&question.out, file.write()?)?;
    println!("{}: {} taps of {} rows", question.out.display(), taps.len(), ids.len());
    Ok(())
}

/// Tap name → operation, as JSON, in the order of computation.
pub(crate) fn ops(taps: &[Tap]) -> Result<String> {
    let ops: Vec<_> = taps.iter().map(|tap| (&tap.name, &tap.op)).collect();
    Ok(serde_json::to_string(&ops)?)
}

pub(crate) fn tensors(taps: &[Tap]) -> BTreeMap<String, Tensor> {
    let tensor = |tap: &Tap| match &tap.values {
        Values::Floats(values) => Tensor::floats(&tap.shape, values),
        Values::Ints(values) => Tensor::ints(&tap.shape, values),
    };
    taps.iter().map(|tap| (tap.name.clone(), tensor(tap))).collect()
}
