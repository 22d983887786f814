//! Runs rows through a model, against the past of their sequences. Owns what is known of that past
//! on the host: how long each slot's sequence is. Knows no text and no sampling.

use crate::backend::{Backend, Follow, Pass, Taps};
use crate::batch::{Batch, Role, Row};
use crate::error::{Error, Result};
use crate::kv::CachePlan;
use crate::model::Model;

/// A model, the machine it runs on, and who looks on.
pub struct Runner<'r, B: Backend> {
    /// The machine.
    pub backend: &'r mut B,
    /// The model.
    pub model: &'r Model<B>,
    /// Who looks at intermediate rows.
    pub taps: &'r mut dyn Taps,
}

/// How a saved session begins; the digit is the version of what follows.
const SAVED: &[u8; 8] = b"orcd-kv1";

/// Form, length, declared length and past of what `Context::save` gave.
fn read_saved(saved: &[u8]) -> Option<(&str, u64, u64, &[u8])> {
    let mut rest = saved.strip_prefix(SAVED)?;
    let mut number = || {
        let (head, tail) = rest.split_first_chunk::<8>()?;
        rest = tail;
        Some(u64::from_le_bytes(*head))
    };
    let (form, length, total) = (number()?, number()?, number()?);
    let (form, past) = rest.split_at_checked(usize::try_from(form).ok()?)?;
    Some((std::str::from_utf8(form).ok()?, length, total, past))
}

/// The past of a number of sequences.
pub struct Context<B: Backend> {
    plan: CachePlan,
    cache: B::Cache,
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Positions that are kept.
    length: usize,
    /// Positions that were declared.
    total: usize,
}

/// Which rows of new tokens want logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logits {
    /// All.
    All,
    /// The last.
    Last,
}

/// One part of a model, for looking at it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// Attention with its norm and projections.
    Attention,
    /// The feed-forward network with its norm.
    FeedForward,
}

impl<B: Backend> Context<B> {
    /// Room for the sequences of `plan`.
    pub fn new(backend: &mut B, plan: CachePlan) -> Result<Context<B>> {
        let cache = backend.cache(&plan)?;
        let slots = vec![Slot { length: 0, total: plan.context }; plan.slots];
        Ok(Context { plan, cache, slots })
    }

    /// The shape of the past.
    pub fn plan(&self) -> &CachePlan {
        &self.plan
    }

    /// Positions that a slot holds.
    pub fn length(&self, slot: usize) -> usize {
        self.slots[slot].length
    }

    /// Starts a sequence that will have up to `total` positions.
    pub fn start(&mut self, slot: usize, total: usize) -> Result<()> {
        if total > self.plan.context {
            let detail = format!(
                "a sequence of {total} positions does not fit a context of {}",
                self.plan.context
            );
            return Err(Error::Usage(detail));
        }
        self.slots[slot] = Slot { length: 0, total };
        Ok(())
    }

    /// Forgets all positions from `length` on.
    pub fn cut(&mut self, model: &Model<B>, slot: usize, length: usize) -> Result<()> {
        let held = self.slots[slot].length;
        if length > held || !self.plan.can_cut(&model.architecture, held, length) {
            let detail = format!(
                "slot {slot} cannot go back from {held} to {length} positions: \
                 a layer with a window has let go of what that needs"
            );
            return Err(Error::Usage(detail));
        }
        self.slots[slot].length = length;
        Ok(())
    }

    /// A slot's past, to be put back later, here or in another process, into a cache of the same
    /// form on the same kind of machine.
    pub fn save(&self, backend: &mut B, slot: usize) -> Result<Vec<u8>> {
        let Slot { length, total } = self.slots[slot];
        let form = self.form();
        let mut saved = Vec::from(SAVED);
        for number in [form.len(), length, total] {
            saved.extend_from_slice(&(number as u64).to_le_bytes());
        }
        saved.extend_from_slice(form.as_bytes());
        saved.extend(backend.save(&self.cache, slot, length)?);
        Ok(saved)
    }

    /// Puts back what `save` gave.
    pub fn restore(&mut self, backend: &mut B, slot: usize, saved: &[u8]) -> Result<()> {
        let (form, length, total, past) = read_saved(saved).ok_or_else(|| {
            Error::Usage(format!("no saved session: {} bytes without its heading", saved.len()))
        })?;
        let ours = self.form();
        if form != ours {
            let form = crate::error::shown(form);
            let detail = format!("the saved session is of the form '{form}', the cache '{ours}'");
            return Err(Error::Usage(detail));
        }
        if length > total || total > self.plan.context as u64 {
            let detail = format!(
                "a saved session of {length} of {total} positions, and a context of {}",
                self.plan.context
            );
            return Err(Error::Usage(detail));
        }
        let (length, total) = (length as usize, total as usize);
        backend.restore(&mut self.cache, slot, length, past)?;
        self.slots[slot] = Slot { length, total };
        Ok(())
    }

    /// Where a slot's bytes stand, in words: machines lay out what they keep differently, and
    /// a layer with a window keeps a position where its capacity says.
    fn form(&self) -> String {
        format!("{} {}", B::LAYOUT, self.plan.form())
    }

    /// Appends tokens to one sequence, in parts of at most `max_rows`, and gives the logits that
    /// are wanted, row by row.
    pub fn extend(
        &mut self,
        runner: &mut Runner<'_, B>,
        slot: usize,
        tokens: &[u32],
        role: Role,
        logits: Logits,
    ) -> Result<Vec<f32>> {
        let mut all = Vec::new();
        let mut left = tokens.len();
        for part in tokens.chunks(self.plan.max_rows.max(1)) {
            left -= part.len();
            let mut batch = self.rows(slot, part, role);
            for (index, row) in batch.rows.iter_mut().enumerate() {
                row.logits = logits == Logits::All || (left == 0 && index + 1 == part.len());
            }
            all.extend(self.forward(runner, &batch)?);
        }
        Ok(all)
    }

    /// Rows that continue a slot's sequence, none of them with logits.
    pub fn rows(&self, slot: usize, tokens: &[u32], role: Role) -> Batch {
        let Slot { length, total } = self.slots[slot];
        let row = |(index, token): (usize, &u32)| Row {
            token: *token,
            position: (length + index) as u32,
            slot: slot as u32,
            total: total as u32,
            role,
            logits: false,
        };
        Batch { rows: tokens.iter().enumerate().map(row).collect() }
    }

    /// Computes a batch; gives the logits of the rows that want them.
    pub fn forward(&mut self, runner: &mut Runner<'_, B>, batch: &Batch) -> Result<Vec<f32>> {
        let rows = self.queue(runner, batch)?;
        match batch.rows.iter().any(|row| row.logits) {
            true => runner.backend.read(&rows),
            false => Ok(Vec::new()),
        }
    }

    /// The same, but the logits stay where they are, and may not be there yet.
    pub fn queue(&mut self, runner: &mut Runner<'_, B>, batch: &Batch) -> Result<B::Rows> {
        let Runner { backend, model, taps } = runner;
        self.check(model, batch)?;
        let step = backend.step(batch, &model.ropes)?;
        let mut pass = self.pass(model, &step, *taps);
        let rows = backend.pass(&mut pass)?;
        self.advance(batch);
        Ok(rows)
    }

    /// Queues `count` generated rows of one sequence, each but the first with the token that the
    /// one before it chose: the first is `known`, or what the last row that was queued so chose.
    /// None, and nothing queued, if the backend needs its caller for that.
    pub fn follow(
        &mut self,
        runner: &mut Runner<'_, B>,
        (slot, count): (usize, usize),
        known: Option<u32>,
        how: Follow,
    ) -> Result<Option<B::Ids>> {
        let Runner { backend, model, taps } = runner;
        let mut tokens = vec![0; count];
        tokens.iter_mut().take(1).for_each(|first| *first = known.unwrap_or(0));
        let mut batch = self.rows(slot, &tokens, Role::Generated);
        batch.rows.iter_mut().for_each(|row| row.logits = true);
        self.check(model, &batch)?;
        let step = backend.step(&batch, &model.ropes)?;
        let mut pass = self.pass(model, &step, *taps);
        let ids = backend.follow(&mut pass, Follow { known: known.is_some(), ..how })?;
        if ids.is_some() {
            self.advance(&batch);
        }
        Ok(ids)
    }

    /// Computes one block alone, on rows that come from elsewhere; gives what it adds to the
    /// stream. The past of the slots is taken as it is and goes on as in `forward`.
    pub fn isolated(
        &mut self,
        runner: &mut Runner<'_, B>,
        batch: &Batch,
        (layer, block): (usize, Block),
        stream: &[f32],
    ) -> Result<Vec<f32>> {
        let Runner { backend, model, taps } = runner;
        self.check(model, batch)?;
        let step = backend.step(batch, &model.ropes)?;
        let mut rows = backend.write(model.architecture.n_embd, stream)?;
        let mut pass = self.pass(model, &step, *taps);
        let added = match block {
            Block::Attention => backend.attention(&mut pass, layer, &rows)?,
            Block::FeedForward => backend.feed_forward(&mut pass, layer, &mut rows, None)?,
        };
        self.advance(batch);
        backend.read(&added)
    }

    fn pass<'p>(
        &'p mut self,
        model: &'p Model<B>,
        step: &'p B::Step,
        taps: &'p mut dyn Taps,
    ) -> Pass<'p, B> {
        Pass {
            architecture: &model.architecture,
            weights: &model.weights,
            ropes: &model.rope_of_layer,
            step,
            cache: &mut self.cache,
            taps,
        }
    }

    fn advance(&mut self, batch: &Batch) {
        for row in &batch.rows {
            self.slots[row.slot as usize].length = row.position as usize + 1;
        }
    }

    /// Refuses rows that do not continue their sequences, or tokens that the model does not have.
    fn check(&self, model: &Model<B>, batch: &Batch) -> Result<()> {
        let refuse = |detail: String| Err(Error::Usage(detail));
        if batch.rows.is_empty() || batch.rows.len() > self.plan.max_rows {
            let (rows, most) = (batch.rows.len(), self.plan.max_rows);
            return refuse(format!("a batch of {rows} rows; 1 to {most} are computed together"));
        }
        let mut next: Vec<usize> = self.slots.iter().map(|slot| slot.length).collect();
        for Row { token, position, slot, .. } in &batch.rows {
            let n_vocab = model.architecture.n_vocab;
            if *token as usize >= n_vocab {
                return refuse(format!("token {token} is not below the vocabulary's {n_vocab}"));
            }
            let Some(next) = next.get_mut(*slot as usize) else {
                return refuse(format!("slot {slot} of {}", self.plan.slots));
            };
            let found = *position as usize;
            let limit = match model.architecture.learned_positions {
                true => self.plan.context.min(model.architecture.n_ctx),
                false => self.plan.context,
            };
            if found != *next || found >= limit {
                let detail = format!("slot {slot}: position {found}, wanted {next}, below {limit}");
                return refuse(detail);
            }
            *next += 1;
        }
        Ok(())
    }
}
