//! Times a model on a backend, as llama-bench and llama-batched-bench do. Knows no files and
//! prints nothing.

use crate::backend::{Backend, NoTaps};
use crate::batch::{Batch, Role};
use crate::cost::Cost;
use crate::error::{Error, Result};
use crate::forward::{Context, Logits, Runner};
use crate::kv::{CachePlan, Precision};
use crate::model::Model;
use crate::sampler;
use std::time::Instant;

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// A prompt is read; else tokens are made.
    pub(super) prompt: bool,
    /// How many, in each sequence.
    pub(super) tokens: usize,
    /// Positions that are there before.
    pub(super) depth: usize,
    /// Sequences side by side.
    pub(super) sequences: usize,
}

impl Shape {
    /// `pp512`, `tg128 @ d4096 × 8`.
    pub(super) fn name(&self) -> String {
        let mut name = format!("{}{}", if self.prompt { "pp" } else { "tg" }, self.tokens);
        if self.depth > 0 {
            name += &format!(" @ d{}", self.depth);
        }
        if self.sequences > 1 {
            name += &format!(" × {}", self.sequences);
        }
        name
    }

    /// Operations of a token, on average over the test. A prompt wants logits of its last row only.
    pub(super) fn operations(&self, cost: &Cost) -> f64 {
        let at = |index: usize| {
            let logits = !self.prompt || index + 1 == self.tokens;
            cost.operations(self.depth + index, logits)
        };
        (0..self.tokens).map(at).sum::<f64>() / self.tokens as f64
    }

    /// Bytes of a token, on average over the test; a step of all sequences is shared by them.
    pub(super) fn bytes(&self, cost: &Cost, kv: Precision) -> f64 {
        let kv = kv.bytes();
        let at = |index: usize| cost.bytes(self.sequences, self.depth + index, kv);
        let steps = (0..self.tokens).map(at).sum::<f64>() / self.tokens as f64;
        steps / self.sequences as f64
    }
}

/// Tokens per second of each repetition.
#[derive(Debug, Clone)]
pub(super) struct Timed {
    pub(super) rates: Vec<f64>,
}

impl Timed {
    /// The median; of an even number the mean of the middle two.
    pub(super) fn rate(&self) -> f64 {
        let sorted = self.sorted();
        let (low, high) = ((sorted.len() - 1) / 2, sorted.len() / 2);
        (sorted[low] + sorted[high]) / 2.0
    }

    /// The slowest and the fastest.
    pub(super) fn range(&self) -> (f64, f64) {
        let sorted = self.sorted();
        (sorted[0], sorted[sorted.len() - 1])
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.rates.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// A model and the backend that it is timed on.
pub(super) struct Bench<'b, B: Backend> {
    pub(super) backend: &'b mut B,
    pub(super) model: &'b Model<B>,
    /// How keys and values are kept.
    pub(super) kv: Precision,
}

impl<B: Backend> Bench<'_, B> {
    /// Times a test. `done` hears of each run, the one that warms up included.
    pub(super) fn time(
        mut self,
        shape: &Shape,
        repetitions: usize,
        mut done: impl FnMut(),
    ) -> Result<Timed> {
        let total = shape.depth + shape.tokens;
        let most = self.model.architecture.n_ctx;
        if self.model.architecture.learned_positions && total > most {
            let name = shape.name();
            return Err(Error::Usage(format!("{name}: this model has only {most} positions")));
        }
        let rows = self.backend.rows_at_once().min(total).max(shape.sequences);
        let plan = CachePlan::new(&self.model.architecture, shape.sequences, total, rows, self.kv);
        let mut context = Context::new(self.backend, plan)?;
        let pasts = self.fill(&mut context, shape)?;
        let mut rates = Vec::with_capacity(repetitions);
        for repetition in 0..=repetitions {
            for (slot, past) in pasts.iter().enumerate() {
                context.restore(self.backend, slot, past)?;
            }
            let start = Instant::now();
            match shape.prompt {
                true => self.read(&mut context, shape)?,
                false => self.write(&mut context, shape)?,
            }
            self.backend.pace(0)?;
            let tokens = (shape.tokens * shape.sequences) as f64;
            if repetition > 0 {
                rates.push(tokens / start.elapsed().as_secs_f64());
            }
            done();
        }
        Ok(Timed { rates })
    }

    /// The past of each sequence, ready to be put back before every run.
    fn fill(&mut self, context: &mut Context<B>, shape: &Shape) -> Result<Vec<Vec<u8>>> {
        let mut pasts = Vec::with_capacity(shape.sequences);
        for slot in 0..shape.sequences {
            context.start(slot, shape.depth + shape.tokens)?;
            if shape.depth > 0 {
                let tokens = self.tokens(slot, 0, shape.depth);
                context.extend(&mut self.runner(&mut NoTaps), slot, &tokens, Role::Prompt, LAST)?;
            }
            pasts.push(context.save(self.backend, slot)?);
        }
        Ok(pasts)
    }

    fn read(&mut self, context: &mut Context<B>, shape: &Shape) -> Result<()> {
        for slot in 0..shape.sequences {
            let tokens = self.tokens(slot, shape.depth, shape.tokens);
            context.extend(&mut self.runner(&mut NoTaps), slot, &tokens, Role::Prompt, LAST)?;
        }
        Ok(())
    }

    /// A step makes one token of each sequence. It is queued while the one before it is under way,
    /// as a generation does that leaves the choice to its backend; nobody reads the logits.
    fn write(&mut self, context: &mut Context<B>, shape: &Shape) -> Result<()> {
        for index in 0..shape.tokens {
            let mut batch = Batch::default();
            for slot in 0..shape.sequences {
                let token = self.tokens(slot, shape.depth + index, 1);
                batch.rows.extend(context.rows(slot, &token, Role::Generated).rows);
            }
            batch.rows.iter_mut().for_each(|row| row.logits = true);
            let logits = context.queue(&mut self.runner(&mut NoTaps), &batch)?;
            self.backend.pace(1)?;
            drop(logits);
        }
        Ok(())
    }

    fn runner<'r>(&'r mut self, taps: &'r mut NoTaps) -> Runner<'r, B> {
        Runner { backend: self.backend, model: self.model, taps }
    }

    /// Tokens that nobody chose, the same in every run.
    fn tokens(&self, slot: usize, from: usize, count: usize) -> Vec<u32> {
        let n_vocab = self.model.architecture.n_vocab as f64;
        let token = |at: usize| (sampler::uniform(slot as u64, at as u64) * n_vocab) as u32;
        (from..from + count).map(token).collect()
    }
}

const LAST: Logits = Logits::Last;
