//! How surprised a model is by a text, measured exactly as llama.cpp's `llama-perplexity` does, so
//! that the numbers can be compared. Knows ids, not text.
//!
//! Without a stride the ids are cut into chunks, each is read from an empty past, and its second
//! half is scored; a vocabulary that begins texts with BOS has it in place of each chunk's first
//! id.
//! With one, windows begin `stride` apart and the last `stride` ids of each are scored; llama.cpp
//! puts no BOS there, so neither do we. What does not fill a chunk is left out.

use crate::backend::{Backend, NoTaps};
use crate::batch::{ROWS, Role};
use crate::error::{Error, Result};
use crate::forward::{Context, Logits, Runner};
use crate::kv::{CachePlan, Precision};
use crate::model::Model;
use crate::sampler;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Tokens of a chunk.
    pub context: usize,
    /// At most so many chunks.
    pub chunks: Option<usize>,
    /// How far apart chunks begin; they then have half a stride more than `context` tokens.
    pub stride: Option<usize>,
    /// What stands in place of each chunk's first token.
    pub bos: Option<u32>,
    /// How keys and values are kept.
    pub kv: Precision,
}

/// What has been measured so far.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Perplexity {
    /// Chunks that were read.
    pub chunks: usize,
    /// Tokens that were read.
    pub read: usize,
    /// Tokens that were scored.
    pub scored: usize,
    surprise: f64,
    surprise_squared: f64,
}

impl Perplexity {
    /// e to the mean surprise.
    pub fn value(&self) -> f64 {
        (self.surprise / self.scored as f64).exp()
    }

    /// The standard error of the value; absent where the spread rounds to nothing.
    pub fn error(&self) -> Option<f64> {
        let count = self.scored as f64;
        let mean = self.surprise / count;
        let variance = self.surprise_squared / count - mean * mean;
        (variance > 0.0).then(|| (variance / (count - 1.0)).sqrt() * self.value())
    }

    fn score(&mut self, logprob: f64) {
        self.scored += 1;
        self.surprise -= logprob;
        self.surprise_squared += logprob * logprob;
    }
}

/// Where chunks begin, how long they are, and which of their rows are scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Tokens of a chunk.
    pub length: usize,
    /// From one beginning to the next.
    pub step: usize,
    /// How many there are.
    pub chunks: usize,
    /// The first row of a chunk whose prediction is scored; all after it are, but for the last.
    pub first: usize,
}

impl Settings {
    /// How `n_ids` are cut.
    pub fn cut(&self, n_ids: usize) -> Result<Cut> {
        let length = self.context + self.stride.unwrap_or(0) / 2;
        if self.context < 4 || self.stride == Some(0) || self.stride.is_some_and(|s| s >= length) {
            let detail = format!(
                "a context of {} and a stride of {:?}: a context has 4 tokens at least, and a \
                 stride is above 0 and shorter than the context",
                self.context, self.stride
            );
            return Err(Error::Usage(detail));
        }
        if n_ids < 2 * length {
            let detail = format!(
                "the text has {n_ids} tokens; a context of {length} needs {} at least",
                2 * length
            );
            return Err(Error::Usage(detail));
        }
        let (step, chunks, first) = match self.stride {
            None => (length, n_ids / length, length / 2),
            Some(stride) => (stride, (n_ids - length).div_ceil(stride), length - stride - 1),
        };
        let chunks = self.chunks.map_or(chunks, |most| most.min(chunks));
        Ok(Cut { length, step, chunks, first })
    }
}

/// Measures. `progress` hears of every chunk.
pub fn measure<B: Backend>(
    backend: &mut B,
    model: &Model<B>,
    ids: &[u32],
    settings: &Settings,
    mut progress: impl FnMut(&Perplexity),
) -> Result<Perplexity> {
    let cut = settings.cut(ids.len())?;
    let rows = ROWS.min(cut.length);
    let plan = CachePlan::new(&model.architecture, 1, cut.length, rows, settings.kv);
    let mut context = Context::new(backend, plan)?;
    let mut measured = Perplexity::default();
    for chunk in 0..cut.chunks {
        let ids = &ids[chunk * cut.step..][..cut.length];
        let mut read = ids.to_vec();
        if let (Some(bos), None) = (settings.bos, settings.stride) {
            read[0] = bos;
        }
        context.start(0, cut.length)?;
        let mut runner = Runner { backend, model, taps: &mut NoTaps };
        // Rows before the first scored one need no logits, which cost as much as some layers.
        let (unscored, scored) = read.split_at(cut.first);
        if !unscored.is_empty() {
            context.extend(&mut runner, 0, unscored, Role::Prompt, Logits::Last)?;
        }
        let mut row = cut.first;
        // As many rows of logits as are held at once.
        for part in scored[..scored.len() - 1].chunks(LOGIT_ROWS) {
            let logits = context.extend(&mut runner, 0, part, Role::Prompt, Logits::All)?;
            for logits in logits.chunks_exact(model.architecture.n_vocab) {
                row += 1;
                measured.score(sampler::logprob(logits, ids[row], row as u64)?);
            }
        }
        measured.chunks += 1;
        measured.read += row;
        progress(&measured);
    }
    Ok(measured)
}

const LOGIT_ROWS: usize = 64;
