//! Generated rows: by the model's fused step where it has one, in whatever company they come, and
//! many after one another without the host, which hears of their ids when they are there.

use super::backend::Cuda;
use super::decode::{Decode, On, To};
use super::memory::Pinned;
use super::rows::{Piece, Rows};
use super::step::Step;
use super::stream::Stream;
use crate::backend::{Follow, Pass, composed};
use crate::error::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What stands where an id is to come.
const PENDING: u32 = u32::MAX;
/// What comes instead where the host has to look at the logits: they hold what is no number, or too
/// many that are equal. Vocabularies are smaller than both.
const HOST_LOOKS: u32 = u32::MAX - 1;
/// Ids that can be on their way at a time.
const TOLD: usize = 1024;
/// How long an id is looked for without asking the driver whether the device still lives. A step
/// takes about a millisecond.
const PATIENCE: Duration = Duration::from_millis(50);

/// Where ids reach the host: words that kernels write to, used in turn.
pub(super) struct Told {
    memory: Arc<Pinned>,
    next: usize,
    /// The id that was chosen last, for the row that will follow it.
    picked: Piece,
}

/// Ids of rows that were queued, in order.
pub struct Ids {
    memory: Arc<Pinned>,
    stream: Arc<Stream>,
    at: usize,
    count: usize,
}

impl Ids {
    fn address(&self, row: usize) -> u64 {
        self.memory.address() + 4 * (self.at + row) as u64
    }

    /// The id that row `row` chose; none if the host has to look at its logits.
    pub(super) fn wait(&self, row: usize) -> Result<Option<u32>> {
        let outside = || Error::Usage(format!("id {row} of {} that were asked for", self.count));
        let index = Some(self.at + row).filter(|_| row < self.count);
        let word = index.and_then(|at| self.memory.word(at)).ok_or_else(outside)?;
        let started = Instant::now();
        let mut id = word.load(Ordering::Acquire);
        while id == PENDING && started.elapsed() < PATIENCE {
            std::hint::spin_loop();
            id = word.load(Ordering::Acquire);
        }
        if id == PENDING {
            self.stream.synchronize()?;
            id = word.load(Ordering::Acquire);
        }
        match id {
            PENDING => Err(Error::kernel("choose", "a step ended without an id")),
            HOST_LOOKS => Ok(None),
            id => Ok(Some(id)),
        }
    }
}

impl Cuda {
    /// The fused step of this model, if it has one; made when it is first asked for.
    fn decode<'p>(&self, pass: &Pass<'p, Cuda>) -> Result<Option<&'p Decode>> {
        let kept = &pass.weights.token_embd.decode;
        let decode = match kept.get() {
            Some(decode) => decode,
            None => {
                let made = Decode::new(&self.fused(pass))?.map(Box::new);
                kept.get_or_init(|| made)
            }
        };
        Ok(decode.as_deref())
    }

    fn fused<'o>(&'o self, pass: &'o Pass<'_, Cuda>) -> On<'o> {
        On {
            kernels: &self.kernels,
            stream: &self.stream,
            architecture: pass.architecture,
            weights: pass.weights,
        }
    }

    /// The logits of a batch that holds generated rows, if this model has a fused step. Rows of
    /// prompts beside them are computed as they always are, on their own.
    pub(super) fn generated(&mut self, pass: &mut Pass<'_, Cuda>) -> Result<Option<Rows>> {
        let step = pass.step;
        if !step.generated || pass.taps.active() {
            return Ok(None);
        }
        let Some(decode) = self.decode(pass)? else { return Ok(None) };
        let logits = self.scratch.rows(step.wanted, pass.architecture.n_vocab)?;
        let mut taken = 0;
        let mut place = |wants: &bool| {
            taken += usize::from(*wants);
            wants.then(|| taken - 1)
        };
        let places: Vec<Option<usize>> = step.wants.iter().map(&mut place).collect();
        if step.parts.is_empty() {
            self.decode_rows(decode, pass, step, &places, &logits)?;
        }
        for part in &step.parts {
            let places: Vec<Option<usize>> = part.rows.iter().map(|row| places[*row]).collect();
            if part.step.generated {
                self.decode_rows(decode, pass, &part.step, &places, &logits)?;
                continue;
            }
            let rows = composed::pass(self, &mut pass.with(&part.step))?;
            for (from, to) in places.iter().flatten().enumerate() {
                rows.copy_row(from, &logits, *to)?;
            }
        }
        Ok(Some(logits))
    }

    fn decode_rows(
        &self,
        decode: &Decode,
        pass: &Pass<'_, Cuda>,
        step: &Step,
        places: &[Option<usize>],
        logits: &Rows,
    ) -> Result<()> {
        for (row, place) in places.iter().enumerate() {
            let logits = place.map_or(0, |place| logits.row_address(place));
            decode.row(
                &self.fused(pass),
                pass.cache,
                step,
                row,
                &To { logits, ..To::default() },
            )?;
        }
        Ok(())
    }

    /// Queues the rows of a step, of which each but the first is the token that the one before it
    /// chose.
    pub(super) fn followed(
        &mut self,
        pass: &mut Pass<'_, Cuda>,
        how: Follow,
    ) -> Result<Option<Ids>> {
        if pass.taps.active() {
            return Ok(None);
        }
        let (decode, step) = (self.decode(pass)?, pass.step);
        let mut told = match self.told.take() {
            Some(told) => told,
            None => self.new_told()?,
        };
        let ids = self.take(&mut told, step.rows)?;
        if !how.known {
            let (rows, token) = step.token_place(0);
            told.picked.copy(0, rows, token, 4)?;
        }
        for row in 0..step.rows {
            let last = row + 1 == step.rows;
            let next = if last { told.picked.at(0) } else { step.token_address(row + 1) };
            let to = To { logits: 0, next, told: ids.address(row) };
            self.follow_one(pass, decode, &step.one(row), &to, how)?;
        }
        self.told = Some(told);
        Ok(Some(ids))
    }

    fn follow_one(
        &mut self,
        pass: &mut Pass<'_, Cuda>,
        decode: Option<&Decode>,
        step: &Step,
        to: &To,
        how: Follow,
    ) -> Result<()> {
        if let (Some(decode), true) = (decode, how.temperature == 0.0) {
            return decode.row(&self.fused(pass), pass.cache, step, 0, to);
        }
        let logits = match decode {
            Some(decode) => {
                let logits = self.scratch.rows(1, pass.architecture.n_vocab)?;
                let only = To { logits: logits.row_address(0), ..To::default() };
                decode.row(&self.fused(pass), pass.cache, step, 0, &only)?;
                logits
            }
            None => self.replayed_or_composed(&mut pass.with(step))?,
        };
        self.ops.choose.run(&self.stream, &self.scratch, &logits, step, to, how)
    }

    fn new_told(&self) -> Result<Told> {
        let memory = Arc::new(Pinned::new(self.context(), 4 * TOLD)?);
        Ok(Told { memory, next: 0, picked: self.scratch.piece(4)? })
    }

    /// Words for `count` ids.
    fn take(&self, told: &mut Told, count: usize) -> Result<Ids> {
        if count > TOLD {
            return Err(Error::Usage(format!("{count} ids at a time; at most {TOLD}")));
        }
        if told.next + count > TOLD {
            // All words are taken again only when no kernel can still write to any.
            self.stream.synchronize()?;
            told.next = 0;
        }
        let ids =
            Ids { memory: told.memory.clone(), stream: self.stream.clone(), at: told.next, count };
        told.next += count;
        (ids.at..told.next).filter_map(|at| ids.memory.word(at)).for_each(|word| {
            word.store(PENDING, Ordering::Release);
        });
        Ok(ids)
    }
}
