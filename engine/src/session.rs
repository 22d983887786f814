//! One sequence as it grows: a prompt in, token after token out. Owns the past on the device and
//! the ids so far; knows no text. Servers, which run many sequences together, build batches
//! themselves; this is for whoever wants one.

use crate::backend::{Backend, NoTaps};
use crate::batch::{ROWS, Role};
use crate::error::{Error, Result};
use crate::forward::{Context, Logits, Runner};
use crate::kv::{CachePlan, Precision};
use crate::model::Model;
use crate::sampler::{self, Choice, SamplerParams, Step};

/// A sequence on a model.
pub struct Session<'m, B: Backend> {
    backend: &'m mut B,
    model: &'m Model<B>,
    context: Context<B>,
    ids: Vec<u32>,
    /// What the last computed row says of the next token.
    logits: Vec<f32>,
}

impl<'m, B: Backend> Session<'m, B> {
    /// An empty sequence that will have up to `total` positions.
    pub fn new(backend: &'m mut B, model: &'m Model<B>, total: usize) -> Result<Self> {
        let most = model.architecture.n_ctx;
        if total == 0 || total > most {
            let detail = format!("a sequence of {total} tokens; this model knows 1 to {most}");
            return Err(Error::Usage(detail));
        }
        let rows = ROWS.min(total);
        let plan = CachePlan::new(&model.architecture, 1, total, rows, Precision::F32);
        let context = Context::new(backend, plan)?;
        Ok(Session { backend, model, context, ids: Vec::new(), logits: Vec::new() })
    }

    /// All ids so far, the last chosen one included.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Whether there is room for another token.
    pub fn is_full(&self) -> bool {
        self.ids.len() >= self.context.plan().context
    }

    /// Reads the tokens of a prompt.
    pub fn read(&mut self, prompt: &[u32]) -> Result<()> {
        self.logits = self.compute(prompt, Role::Prompt)?;
        self.ids.extend(prompt);
        Ok(())
    }

    /// Chooses the next token. The token chosen last is computed only now, so the last one of a
    /// generation costs nothing.
    pub fn next(&mut self, params: &SamplerParams, seed: u64) -> Result<Choice> {
        let computed = self.context.length(0);
        if computed < self.ids.len() {
            let last = self.ids[computed..].to_vec();
            self.logits = self.compute(&last, Role::Generated)?;
        }
        let (logits, history, position) = (&self.logits, &self.ids, self.ids.len() as u64);
        let choice = sampler::sample(&Step { logits, history, seed, position }, params)?;
        self.ids.push(choice.id);
        Ok(choice)
    }

    fn compute(&mut self, tokens: &[u32], role: Role) -> Result<Vec<f32>> {
        let mut taps = NoTaps;
        let mut runner = Runner { backend: self.backend, model: self.model, taps: &mut taps };
        self.context.extend(&mut runner, 0, tokens, role, Logits::Last)
    }
}
