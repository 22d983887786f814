//! What a machine must be able to do to run a model: primitive verbs, one operation each, and fused
//! verbs whose default body is the composition of the primitives, so that a new backend is correct
//! before it is fast. A backend knows weights, rows and steps; it never sees a model's name, a text
//! or a tensor name.
//!
//! A verb takes no value that changes from token to token as an argument of its own: ids, positions
//! and lengths live in the step, on the device, so that a backend can record a pass and replay it.

pub mod composed;
pub mod cpu;
pub mod cuda;
pub mod taps;

pub use taps::{NoTaps, Tap, Taps};

use crate::adapters::weights::NormWeights;
use crate::adapters::{Activation, Architecture, Attention, Norm, Role, Rope, Weights};
use crate::batch::{Batch, ROWS};
use crate::error::{Error, Result};
use crate::kv::{CachePlan, Precision};
use crate::loader::Gguf;
use std::sync::Arc;

/// Which input row an expert reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The row of the batch: each of its experts reads the same.
    Row,
    /// A row of its own: row `r · used + k` for the `k`th expert of row `r`.
    Slot,
}

/// As many rows as there are to be.
fn exactly<R, const N: usize>(all: Vec<R>) -> Result<[R; N]> {
    all.try_into().map_err(|all: Vec<_>| Error::Usage(format!("{} of {N} products", all.len())))
}

/// What a pass works on: everything but the rows themselves.
pub struct Pass<'p, B: Backend> {
    /// What the model is.
    pub architecture: &'p Architecture,
    /// Its weights.
    pub weights: &'p Weights<B::Weight>,
    /// Index of each layer's rotation among the step's tables.
    pub ropes: &'p [Option<usize>],
    /// Ids, positions, angles.
    pub step: &'p B::Step,
    /// Keys and values.
    pub cache: &'p mut B::Cache,
    /// Who looks at intermediate rows.
    pub taps: &'p mut dyn Taps,
}

impl<'p, B: Backend> Pass<'p, B> {
    /// The same with another step.
    pub fn with<'s>(&'s mut self, step: &'s B::Step) -> Pass<'s, B> {
        Pass {
            architecture: self.architecture,
            weights: self.weights,
            ropes: self.ropes,
            step,
            cache: self.cache,
            taps: self.taps,
        }
    }
}

/// How rows go on by themselves, each with the token that the one before it chose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Follow {
    /// As in the sampler: 0 takes the likeliest, whatever else is asked for.
    pub temperature: f32,
    /// As in the sampler, at most [`Follow::FEW`] of the vocabulary; 0 keeps all.
    pub top_k: u32,
    /// As in the sampler; 1 if `top_k` keeps all.
    pub top_p: f32,
    /// As in the sampler; 0 if `top_k` keeps all.
    pub min_p: f32,
    /// As in the sampler.
    pub seed: u64,
    /// Whether the first row's token is known; else it is what the last row that went on this way
    /// chose.
    pub known: bool,
}

impl Follow {
    /// How many of the largest logits a choice may be among.
    pub const FEW: u32 = 256;
}

/// A machine that runs models.
pub trait Backend: Sized {
    /// How this kind of machine lays out keys and values, for saved sessions: `save` of one is
    /// `restore` of another with the same.
    const LAYOUT: &'static str;
    /// A tensor as this backend keeps it.
    type Weight;
    /// Rows of f32, all of one width.
    type Rows;
    /// A batch, ready to be read by kernels.
    type Step;
    /// Keys and values of all slots and layers.
    type Cache;
    /// Which experts see a row, and how much each counts.
    type Routing;
    /// Ids that were chosen, or will be.
    type Ids;

    /// For messages: `cpu`, `cuda:0`.
    fn name(&self) -> String;

    /// What should be said of how a model was loaded.
    fn remark(&self) -> Option<String> {
        None
    }

    /// Bytes per second that this machine reads from its memory when it does nothing else: what
    /// bounds generation, measured now.
    fn read_speed(&mut self) -> Result<f64>;

    /// How keys and values are kept where nobody says otherwise.
    fn usual_kv(&self) -> Precision {
        Precision::F32
    }

    /// Takes a tensor (the one at `position` of the file) in. Values and byte count stay the same.
    fn upload(&mut self, file: &Arc<Gguf>, position: usize, role: Role) -> Result<Self::Weight>;

    /// Rows of a prompt that are best computed together.
    fn rows_at_once(&self) -> usize {
        ROWS
    }

    /// Brings the weights of a whole model into the order in which this backend reads them.
    fn arrange(
        &mut self,
        _architecture: &Architecture,
        weights: Weights<Self::Weight>,
    ) -> Result<Weights<Self::Weight>> {
        Ok(weights)
    }

    /// An empty cache.
    fn cache(&mut self, plan: &CachePlan) -> Result<Self::Cache>;

    /// Makes a batch ready. `ropes` are the distinct rotations of the model.
    fn step(&mut self, batch: &Batch, ropes: &[Rope]) -> Result<Self::Step>;

    /// Copies the positions of one slot that are resident after `length` positions.
    fn save(&mut self, cache: &Self::Cache, slot: usize, length: usize) -> Result<Vec<u8>>;

    /// Puts back what `save` gave, into any slot of a cache of the same plan but for `slots`.
    fn restore(
        &mut self,
        cache: &mut Self::Cache,
        slot: usize,
        length: usize,
        saved: &[u8],
    ) -> Result<()>;

    /// Elements of each row.
    fn width(&self, rows: &Self::Rows) -> usize;

    /// Copies rows to the host.
    fn read(&mut self, rows: &Self::Rows) -> Result<Vec<f32>>;

    /// Copies rows of `width` from the host.
    fn write(&mut self, width: usize, values: &[f32]) -> Result<Self::Rows>;

    /// Experts and their shares, `used` for each row, by falling score.
    fn read_routing(&mut self, routing: &Self::Routing) -> Result<(Vec<u32>, Vec<f32>)>;

    /// Looks up each row's token.
    fn embed(&mut self, table: &Self::Weight, step: &Self::Step) -> Result<Self::Rows>;

    /// Adds each row's position, looked up in a table.
    fn add_positions(
        &mut self,
        rows: &mut Self::Rows,
        table: &Self::Weight,
        step: &Self::Step,
    ) -> Result<()>;

    /// Normalises each row.
    fn norm(
        &mut self,
        norm: Norm,
        weights: &NormWeights<Self::Weight>,
        rows: &Self::Rows,
    ) -> Result<Self::Rows>;

    /// Adds rows to rows, and normalises each of the sums.
    fn add_norm(
        &mut self,
        norm: Norm,
        weights: &NormWeights<Self::Weight>,
        rows: &mut Self::Rows,
        more: &Self::Rows,
    ) -> Result<Self::Rows> {
        self.add(rows, more)?;
        self.norm(norm, weights, rows)
    }

    /// Multiplies each row with a matrix and adds the bias.
    fn matmul(
        &mut self,
        weight: &Self::Weight,
        bias: Option<&Self::Weight>,
        rows: &Self::Rows,
        step: &Self::Step,
    ) -> Result<Self::Rows>;

    /// The same with several matrices, which a backend may do at once.
    fn matmuls<const N: usize>(
        &mut self,
        weights: [(&Self::Weight, Option<&Self::Weight>); N],
        rows: &Self::Rows,
        step: &Self::Step,
    ) -> Result<[Self::Rows; N]> {
        let product = |(weight, bias)| self.matmul(weight, bias, rows, step);
        exactly(weights.into_iter().map(product).collect::<Result<_>>()?)
    }

    /// Multiplies with one matrix whose outputs are several rows', of these widths.
    fn matmul_split<const N: usize>(
        &mut self,
        weight: (&Self::Weight, Option<&Self::Weight>),
        widths: [usize; N],
        rows: &Self::Rows,
        step: &Self::Step,
    ) -> Result<[Self::Rows; N]> {
        composed::matmul_split(self, weight, widths, rows, step)
    }

    /// Elements `start .. start + width` of each row.
    fn slice(&mut self, rows: &Self::Rows, start: usize, width: usize) -> Result<Self::Rows>;

    /// Turns each head of each row by the step's table `table`.
    fn rope(
        &mut self,
        rows: &mut Self::Rows,
        rope: &Rope,
        table: usize,
        head_dim: usize,
        step: &Self::Step,
    ) -> Result<()>;

    /// Keeps keys and values of all rows.
    fn store(
        &mut self,
        cache: &mut Self::Cache,
        layer: usize,
        keys: &Self::Rows,
        values: &Self::Rows,
        step: &Self::Step,
    ) -> Result<()>;

    /// Lets each row look at what is kept of its own sequence, up to itself.
    fn attend(
        &mut self,
        attention: &Attention,
        sinks: Option<&Self::Weight>,
        queries: &Self::Rows,
        cache: &Self::Cache,
        layer: usize,
        step: &Self::Step,
    ) -> Result<Self::Rows>;

    /// The function between the projections of a feed-forward network, in place of `up`.
    fn activate(
        &mut self,
        activation: Activation,
        gate: Option<&Self::Rows>,
        up: Self::Rows,
    ) -> Result<Self::Rows>;

    /// Picks the `used` best-scored experts of each row, the lower id first among equals, and
    /// shares one among them by a softmax over their scores.
    fn route(&mut self, scores: &Self::Rows, used: usize) -> Result<Self::Routing>;

    /// Multiplies rows with the matrices of the experts that were picked; gives `used` rows for
    /// each row of the batch.
    fn expert_matmul(
        &mut self,
        weight: &Self::Weight,
        bias: Option<&Self::Weight>,
        rows: &Self::Rows,
        source: Source,
        routing: &Self::Routing,
        step: &Self::Step,
    ) -> Result<Self::Rows>;

    /// The shares' sum over each row's experts, in order of expert id.
    fn mix(&mut self, rows: &Self::Rows, routing: &Self::Routing) -> Result<Self::Rows>;

    /// Adds rows to rows.
    fn add(&mut self, rows: &mut Self::Rows, others: &Self::Rows) -> Result<()>;

    /// The rows of which logits are wanted.
    fn wanted(&mut self, rows: Self::Rows, step: &Self::Step) -> Result<Self::Rows>;

    /// Attention with its norm and both projections; what it adds to the stream.
    fn attention(
        &mut self,
        pass: &mut Pass<'_, Self>,
        layer: usize,
        rows: &Self::Rows,
    ) -> Result<Self::Rows> {
        composed::attention(self, pass, layer, rows)
    }

    /// The feed-forward network with its norm; what it adds to the stream, to which `more` is added
    /// first.
    fn feed_forward(
        &mut self,
        pass: &mut Pass<'_, Self>,
        layer: usize,
        rows: &mut Self::Rows,
        more: Option<&Self::Rows>,
    ) -> Result<Self::Rows> {
        composed::feed_forward(self, pass, layer, rows, more)
    }

    /// One block.
    fn layer(
        &mut self,
        pass: &mut Pass<'_, Self>,
        layer: usize,
        rows: Self::Rows,
    ) -> Result<Self::Rows> {
        composed::layer(self, pass, layer, rows)
    }

    /// The last norm and the logits.
    fn head(&mut self, pass: &mut Pass<'_, Self>, rows: &Self::Rows) -> Result<Self::Rows> {
        composed::head(self, pass, rows)
    }

    /// From ids to logits.
    fn pass(&mut self, pass: &mut Pass<'_, Self>) -> Result<Self::Rows> {
        composed::pass(self, pass)
    }

    /// Queues the rows of a step, all of one sequence, of which each but the first is the token
    /// that the one before it chose. None if this backend needs its caller for that.
    fn follow(&mut self, _: &mut Pass<'_, Self>, _: Follow) -> Result<Option<Self::Ids>> {
        Ok(None)
    }

    /// Waits for what row `at` of them chose; none if somebody has to look at its logits, which
    /// hold what is no number, or too many equals.
    fn id(&mut self, _: &Self::Ids, at: usize) -> Result<Option<u32>> {
        Err(Error::Usage(format!("id {at} of a backend that chooses none")))
    }

    /// Waits until at most `ahead` of the passes after which this was called are under way.
    fn pace(&mut self, _ahead: usize) -> Result<()> {
        Ok(())
    }
}
