//! One sequence as it grows: a prompt in, token after token out. Owns the past on the device and
//! the ids so far; knows no text. Servers, which run many sequences together, build batches
//! themselves; this is for whoever wants one.
//!
//! Where a backend can choose tokens itself, rows are queued ahead of the ids that have been handed
//! out, so that the device never waits for its caller. What was queued in vain is taken back.

use crate::backend::{Backend, Follow, NoTaps};
use crate::batch::Role;
use crate::error::{Error, Result};
use crate::forward::{Context, Logits, Runner};
use crate::kv::{CachePlan, Precision};
use crate::model::Model;
use crate::sampler::{self, Choice, SamplerParams, Step};
use std::collections::VecDeque;

/// Rows that are queued at a time, and how few may be left when the next are.
const QUEUED: usize = 4;
const LEFT: usize = 2;

/// A sequence on a model.
pub struct Session<'m, B: Backend> {
    backend: &'m mut B,
    model: &'m Model<B>,
    context: Context<B>,
    ids: Vec<u32>,
    /// What a row said of the token at `logits_of`.
    logits: Vec<f32>,
    logits_of: usize,
    /// How tokens are chosen by rows that were queued, and their ids.
    how: Option<Follow>,
    ahead: VecDeque<Ahead<B::Ids>>,
    /// Whether the backend may be asked to choose.
    follows: bool,
}

/// Rows that were queued together.
struct Ahead<I> {
    ids: I,
    count: usize,
    taken: usize,
}

impl<'m, B: Backend> Session<'m, B> {
    /// An empty sequence that will have up to `total` positions, its past kept in `kv`.
    pub fn new(
        backend: &'m mut B,
        model: &'m Model<B>,
        total: usize,
        kv: Precision,
    ) -> Result<Self> {
        let most = model.architecture.n_ctx;
        if total == 0 || total > most {
            let detail = format!("a sequence of {total} tokens; this model knows 1 to {most}");
            return Err(Error::Usage(detail));
        }
        let rows = backend.rows_at_once().min(total);
        let plan = CachePlan::new(&model.architecture, 1, total, rows, kv);
        let context = Context::new(backend, plan)?;
        Ok(Session {
            backend,
            model,
            context,
            ids: Vec::new(),
            logits: Vec::new(),
            logits_of: 0,
            how: None,
            ahead: VecDeque::new(),
            follows: true,
        })
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
        self.take_back()?;
        self.ids.extend(prompt);
        self.compute(Role::Prompt)
    }

    /// Chooses the next token. The token chosen last is computed only now, so the last one of a
    /// generation costs nothing.
    pub fn next(&mut self, params: &SamplerParams, seed: u64) -> Result<Choice> {
        let n_vocab = self.model.architecture.n_vocab;
        params.check(n_vocab)?;
        let how = followed(params, seed, n_vocab);
        if how != self.how {
            self.take_back()?;
            self.how = how;
        }
        if let Some(how) = how
            && let Some(id) = self.followed(how)?
        {
            self.ids.push(id);
            return Ok(Choice { id, logprobs: None });
        }
        if self.logits_of < self.ids.len() {
            self.take_back()?;
            self.compute(Role::Generated)?;
        }
        let (logits, history, position) = (&self.logits, &self.ids, self.ids.len() as u64);
        let choice = sampler::sample(&Step { logits, history, seed, position }, params)?;
        self.ids.push(choice.id);
        Ok(choice)
    }

    /// The next id that the backend has chosen itself; none if the sampler has to.
    fn followed(&mut self, how: Follow) -> Result<Option<u32>> {
        if !self.follows || self.logits_of == self.ids.len() {
            return Ok(None);
        }
        let left: usize = self.ahead.iter().map(|ahead| ahead.count - ahead.taken).sum();
        let known = self.ids.last().copied().filter(|_| left == 0);
        let computed = self.context.length(0);
        // The last token of a sequence is never computed.
        let room = (self.context.plan().context - 1).saturating_sub(computed);
        let count = QUEUED.min(room).min(self.context.plan().max_rows);
        if left <= LEFT && count > 0 {
            let mut taps = NoTaps;
            let mut runner = Runner { backend: self.backend, model: self.model, taps: &mut taps };
            match self.context.follow(&mut runner, (0, count), known, how)? {
                Some(ids) => self.ahead.push_back(Ahead { ids, count, taken: 0 }),
                None => self.follows = false,
            }
        }
        let Some(first) = self.ahead.front_mut() else { return Ok(None) };
        let id = self.backend.id(&first.ids, first.taken)?;
        first.taken += 1;
        if first.taken == first.count {
            self.ahead.pop_front();
        }
        if id.is_none() {
            // Computed once more for the sampler, which says what is wrong with the logits.
            self.take_back()?;
        }
        Ok(id)
    }

    /// Forgets rows whose tokens nobody has been given, and the last one's if its logits were not
    /// read.
    fn take_back(&mut self) -> Result<()> {
        self.ahead.clear();
        let unread = self.logits_of < self.ids.len();
        let keep = self.ids.len() - usize::from(unread);
        match self.context.length(0) > keep {
            true => self.context.cut(self.model, 0, keep),
            false => Ok(()),
        }
    }

    /// Computes the ids that have not been, and reads the logits of the last.
    fn compute(&mut self, role: Role) -> Result<()> {
        if self.logits_of == self.ids.len() {
            return Ok(());
        }
        let computed = self.context.length(0);
        let tokens = self.ids.get(computed..).unwrap_or_default();
        let mut taps = NoTaps;
        let mut runner = Runner { backend: self.backend, model: self.model, taps: &mut taps };
        self.logits = self.context.extend(&mut runner, 0, tokens, role, Logits::Last)?;
        self.logits_of = self.ids.len();
        Ok(())
    }
}

/// How rows go on by themselves, if a backend may be asked for all that `params` ask for: a choice
/// depends neither on the ids before nor on more than a few logits, or else on all by chance alone.
fn followed(params: &SamplerParams, seed: u64, n_vocab: usize) -> Option<Follow> {
    let &SamplerParams { temperature, top_k, top_p, min_p, .. } = params;
    let all = Follow { temperature, top_k: 0, top_p: 1.0, min_p: 0.0, seed, known: true };
    let asked = Follow { top_k, top_p, min_p, ..all };
    let few = (1..=Follow::FEW).contains(&top_k) && (top_k as usize) < n_vocab;
    match params.plain() {
        true if temperature == 0.0 => Some(all),
        true if few || asked == all => Some(asked),
        _ => None,
    }
}
