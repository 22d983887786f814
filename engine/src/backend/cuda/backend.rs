//! The verbs of a machine, on a CUDA device: each makes room for its result and queues a kernel.
//! The bits of a row depend on the model, the row's own past and its role; never on its company.

use super::context::Context;
use super::decode;
use super::generate::{Ids, Told};
use super::kernels::Kernels;
use super::kv::Cache;
use super::lines;
use super::loading::Loading;
use super::memory::Pinned;
use super::module::Argument;
use super::ops::{
    Factors, Groups, Line, Ops, Product, Rounded, Shares, Sorted, TILE, TOKENS, read_speed,
};
use super::rows::{Piece, Rows, Scratch};
use super::step::Step;
use super::stream::{Event, Stream};
use super::tensor::Tensor;
use crate::adapters::weights::NormWeights;
use crate::adapters::{Activation, Architecture, Attention, Norm, Role, Rope, Weights};
use crate::backend::{Backend, Follow, Pass, Source};
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::kv::{CachePlan, Precision};
use crate::loader::Gguf;
use std::cell::OnceCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// The backend.
pub struct Cuda {
    context: Arc<Context>,
    pub(super) stream: Arc<Stream>,
    pub(super) kernels: Arc<Kernels>,
    pub(super) scratch: Scratch,
    pub(super) ops: Ops,
    /// The way of files to the device.
    pub(super) loading: Loading,
    /// Ids on their way to the host.
    pub(super) told: Option<Told>,
    /// Passes whose end somebody may wait for, oldest first.
    passes: VecDeque<Event>,
    /// Whether rows of prompts are rounded to 16 bits, and activations are computed in f32.
    pub(super) fast: bool,
    /// How many passes were replayed.
    pub(super) replayed: AtomicU64,
    /// Where rows land on the host before they are handed on.
    landing: Option<Pinned>,
}

/// The most that is read that way: pinning memory is slow, and what is pinned nobody else can use.
const LANDING_BYTES: usize = 1 << 20;

/// Which experts see which row.
pub struct Routing {
    pub(super) used: usize,
    pub(super) ids: Piece,
    pub(super) shares: Piece,
    pub(super) rows: usize,
    /// How many experts there are to pick from.
    pub(super) experts: usize,
    /// Slots by expert, in pieces for exact products and for fast ones; sorted when the first
    /// product needs it.
    groups: [OnceCell<Groups>; 2],
}

impl Routing {
    /// Rows times experts of a row.
    pub(super) fn slots(&self) -> usize {
        self.rows * self.used
    }
}

impl Cuda {
    /// The backend on device `ordinal`. Finds or compiles its kernels first.
    pub fn open(ordinal: usize) -> Result<Cuda> {
        Cuda::on(&Arc::new(Kernels::new(&Context::open(ordinal)?)?), false)
    }

    /// The backend on the device that `kernels` are loaded on. Poisoned: its buffers are full of
    /// NaN until they are written, and lie between guards that no kernel may touch.
    pub fn on(kernels: &Arc<Kernels>, poisoned: bool) -> Result<Cuda> {
        let context = kernels.context().clone();
        let stream = Arc::new(Stream::new(&context)?);
        let ops = Ops::new(kernels)?;
        let scratch = Scratch::new(&stream, poisoned);
        let loading = Loading::new(&stream);
        Ok(Cuda {
            context,
            stream,
            kernels: kernels.clone(),
            scratch,
            ops,
            loading,
            told: None,
            passes: VecDeque::new(),
            fast: false,
            replayed: AtomicU64::new(0),
            landing: None,
        })
    }

    /// The same with products of prompts in 16 bits; see fast.cuh.
    #[must_use]
    pub fn fast(self) -> Cuda {
        Cuda { fast: true, ..self }
    }

    /// The device it runs on.
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// The stream that all of its work is queued on.
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Its way to kernels.
    pub fn kernels(&self) -> &Arc<Kernels> {
        &self.kernels
    }

    /// Whether a prompt's products with `weight` are computed in 16 bits: not where the file has
    /// f32, as routers are, whose choices rounding could change.
    fn is_fast(&self, weight: &Tensor) -> bool {
        self.fast && weight.format.name != "F32"
    }

    /// A routing's slots by expert.
    fn groups<'r>(&self, routing: &'r Routing, fast: bool) -> Result<&'r Groups> {
        let kept = &routing.groups[usize::from(fast)];
        if let Some(groups) = kept.get() {
            return Ok(groups);
        }
        let rows = if fast { TOKENS } else { TILE };
        let ops = &self.ops.expert_matmul;
        let groups = ops.groups(&self.stream, &self.scratch, routing, rows)?;
        Ok(kept.get_or_init(|| groups))
    }

    /// Room for rows in 16 bits beside those in 32, where products want them.
    fn rounded(&self, rows: &Rows) -> Result<Option<Rounded>> {
        self.fast.then(|| Rounded::room(&self.scratch, rows)).transpose()
    }

    fn normed(
        &self,
        norm: Norm,
        weights: &NormWeights<Tensor>,
        (rows, more): (&Rows, Option<&Rows>),
    ) -> Result<Rows> {
        let out = self.scratch.rows(rows.count(), rows.width())?;
        let rounded = self.rounded(&out)?;
        self.ops.norm.run(&self.stream, norm, weights, &out, (rows, more), rounded.as_ref())?;
        Ok(out.with(rounded))
    }
}

/// Refuses rows of another width than a matrix takes.
fn fits(weight: &Tensor, rows: &Rows) -> Result<()> {
    match weight.width == rows.width() {
        true => Ok(()),
        false => {
            let detail = format!("rows of {} for a matrix of {}", rows.width(), weight.width);
            Err(Error::Usage(detail))
        }
    }
}

impl Backend for Cuda {
    type Weight = Tensor;
    type Rows = Rows;
    type Step = Step;
    type Cache = Cache;
    type Routing = Routing;
    const LAYOUT: &'static str = "cuda";
    type Ids = Ids;

    fn name(&self) -> String {
        format!("cuda:{}", self.context.device().ordinal)
    }

    fn read_speed(&mut self) -> Result<f64> {
        read_speed(&self.kernels, &self.stream)
    }

    fn usual_kv(&self) -> Precision {
        Precision::F16
    }

    fn upload(&mut self, file: &Arc<Gguf>, position: usize, role: Role) -> Result<Tensor> {
        let to = (&*self.stream, &self.loading);
        Tensor::upload(to, &self.ops.check, file, position, role)
    }

    /// An expert of gpt-oss sees one row in eight: with 2,048 rows it multiplies 256, two blocks'
    /// worth.
    fn rows_at_once(&self) -> usize {
        2048
    }

    fn arrange(
        &mut self,
        architecture: &Architecture,
        weights: Weights<Tensor>,
    ) -> Result<Weights<Tensor>> {
        // Nothing more comes from files: what is pinned for that nobody else could use.
        self.loading.let_go()?;
        let weights = decode::packed(&self.ops, &self.stream, architecture, weights)?;
        lines::woven(&self.ops, &self.stream, architecture, weights)
    }

    fn cache(&mut self, plan: &CachePlan) -> Result<Cache> {
        Cache::new(&self.context, &self.stream, plan)
    }

    fn step(&mut self, batch: &Batch, ropes: &[Rope]) -> Result<Step> {
        Step::new(&self.scratch, batch, ropes)
    }

    fn save(&mut self, cache: &Cache, slot: usize, length: usize) -> Result<Vec<u8>> {
        cache.save(&self.stream, slot, length)
    }

    fn restore(
        &mut self,
        cache: &mut Cache,
        slot: usize,
        length: usize,
        saved: &[u8],
    ) -> Result<()> {
        cache.restore(&self.stream, slot, length, saved)
    }

    fn width(&self, rows: &Rows) -> usize {
        rows.width()
    }

    fn read(&mut self, rows: &Rows) -> Result<Vec<f32>> {
        // Copies to memory that the driver knows are several times as fast, and the logits of one
        // row are most of a megabyte.
        let bytes = 4 * rows.elements();
        if bytes > LANDING_BYTES {
            let mut values = vec![0.0; rows.elements()];
            rows.piece.read(bytemuck::cast_slice_mut(&mut values))?;
            return Ok(values);
        }
        let landing = match self.landing.take() {
            Some(landing) => landing,
            None => Pinned::new(&self.context, LANDING_BYTES)?,
        };
        let landing = self.landing.insert(landing);
        rows.piece.read(&mut landing.as_mut_slice()[..bytes])?;
        Ok(bytemuck::cast_slice(&landing.as_slice()[..bytes]).to_vec())
    }

    fn write(&mut self, width: usize, values: &[f32]) -> Result<Rows> {
        let rows = self.scratch.rows(values.len() / width, width)?;
        rows.piece.write(bytemuck::cast_slice(values))?;
        Ok(rows)
    }

    fn read_routing(&mut self, routing: &Routing) -> Result<(Vec<u32>, Vec<f32>)> {
        let count = routing.slots();
        let (mut ids, mut shares) = (vec![0u32; count], vec![0f32; count]);
        routing.ids.read(bytemuck::cast_slice_mut(&mut ids))?;
        routing.shares.read(bytemuck::cast_slice_mut(&mut shares))?;
        Ok((ids, shares))
    }

    fn embed(&mut self, table: &Tensor, step: &Step) -> Result<Rows> {
        let out = self.scratch.rows(step.rows, table.matrix()?.width)?;
        self.ops.embed.tokens(&self.stream, &out, table, step)?;
        Ok(out)
    }

    fn add_positions(&mut self, rows: &mut Rows, table: &Tensor, step: &Step) -> Result<()> {
        fits(table.matrix()?, rows)?;
        rows.rounded.take();
        self.ops.embed.positions(&self.stream, rows, table, step)
    }

    fn norm(&mut self, norm: Norm, weights: &NormWeights<Tensor>, rows: &Rows) -> Result<Rows> {
        self.normed(norm, weights, (rows, None))
    }

    fn add_norm(
        &mut self,
        norm: Norm,
        weights: &NormWeights<Tensor>,
        rows: &mut Rows,
        more: &Rows,
    ) -> Result<Rows> {
        rows.rounded.take();
        self.normed(norm, weights, (rows, Some(more)))
    }

    fn matmul(
        &mut self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        rows: &Rows,
        step: &Step,
    ) -> Result<Rows> {
        fits(weight.matrix()?, rows)?;
        let bias = bias.map(Tensor::vector).transpose()?;
        let out = self.scratch.rows(rows.count(), weight.rows)?;
        let fast = self.is_fast(weight);
        let stream = &self.stream;
        self.ops.matmul.run(stream, &out, rows, (weight, bias), step, !fast)?;
        if fast && step.prompt {
            let x = self.ops.round.of(stream, &self.scratch, rows)?;
            let factors = Factors { out: &out, x, weight, bias };
            let with = (&self.scratch, &self.ops.spread);
            self.ops.matmul_fast.run(stream, with, &factors, step)?;
        }
        Ok(out)
    }

    fn slice(&mut self, rows: &Rows, start: usize, width: usize) -> Result<Rows> {
        let out = self.scratch.rows(rows.count(), width)?;
        self.ops.rows.slice(&self.stream, &out, rows, start)?;
        Ok(out)
    }

    fn rope(
        &mut self,
        rows: &mut Rows,
        rope: &Rope,
        table: usize,
        head_dim: usize,
        step: &Step,
    ) -> Result<()> {
        rows.rounded.take();
        self.ops.rope.run(&self.stream, rows, rope, table, head_dim, step)
    }

    fn store(
        &mut self,
        cache: &mut Cache,
        layer: usize,
        keys: &Rows,
        values: &Rows,
        step: &Step,
    ) -> Result<()> {
        self.ops.store.run(&self.stream, (cache, layer), keys, values, step)
    }

    fn attend(
        &mut self,
        attention: &Attention,
        sinks: Option<&Tensor>,
        queries: &Rows,
        cache: &Cache,
        layer: usize,
        step: &Step,
    ) -> Result<Rows> {
        let sinks = sinks.map(Tensor::vector).transpose()?;
        let out = self.scratch.rows(queries.count(), attention.q_width())?;
        let at = (cache, layer);
        let lines = step.generated && Line::attends(attention);
        if lines {
            let (line, stream, rows) = (&self.ops.line, &self.stream, queries.count());
            let partial = self.scratch.rows(rows, Line::partial_width(attention))?;
            let (partial, step_rows) = (partial.address(), step.rows_address().bits());
            let shares = Shares { attention, sinks, partial, rows: step_rows };
            let queries = (queries.address(), attention.q_width());
            line.attend(stream, &shares, queries, None, at, rows, false)?;
            line.attended(stream, out.address(), &shares, rows)?;
        }
        let (ops, stream) = (&self.ops, &self.stream);
        let fast = self.fast && ops.attend_fast.fits(attention);
        if (step.generated && !lines) || (step.prompt && !fast) {
            let roles = (!fast, !lines);
            ops.attend.run(stream, (attention, sinks), &out, queries, at, step, roles)?;
        }
        if step.prompt && fast {
            ops.attend_fast.run(stream, (attention, sinks), &out, queries, at, step)?;
        }
        Ok(out)
    }

    fn activate(&mut self, how: Activation, gate: Option<&Rows>, mut up: Rows) -> Result<Rows> {
        up.rounded.take();
        let rounded = self.rounded(&up)?;
        self.ops.activate.run(&self.stream, how, gate, &up, rounded.as_ref())?;
        Ok(up.with(rounded))
    }

    fn route(&mut self, scores: &Rows, used: usize) -> Result<Routing> {
        let rows = scores.count();
        let piece = || self.scratch.piece(4 * rows * used);
        let (ids, shares, experts) = (piece()?, piece()?, scores.width());
        let routing = Routing { used, ids, shares, rows, experts, groups: Default::default() };
        self.ops.route.run(&self.stream, scores, &routing)?;
        Ok(routing)
    }

    fn expert_matmul(
        &mut self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        rows: &Rows,
        source: Source,
        routing: &Routing,
        step: &Step,
    ) -> Result<Rows> {
        fits(weight.matrix()?, rows)?;
        let bias = bias.map(Tensor::vector).transpose()?;
        let out = self.scratch.rows(routing.slots(), weight.rows_per_expert)?;
        let share = if source == Source::Row { routing.used } else { 1 };
        let (ops, stream, fast) = (&self.ops, &self.stream, self.is_fast(weight));
        let product = Product { out: &out, x: rows, weight, bias, routing, share };
        if step.generated {
            ops.expert_matmul.generated(stream, &product, step)?;
        }
        if step.prompt {
            let groups = self.groups(routing, fast)?;
            if !fast {
                ops.expert_matmul.prompt(stream, &product, step, groups)?;
                return Ok(out);
            }
            let x = ops.round.of(stream, &self.scratch, rows)?;
            let with = (&self.scratch, &ops.spread);
            let sorted = Sorted { x, groups };
            ops.expert_matmul_fast.run(stream, with, &product, &sorted, step)?;
        }
        Ok(out)
    }

    fn mix(&mut self, rows: &Rows, routing: &Routing) -> Result<Rows> {
        let out = self.scratch.rows(routing.rows, rows.width())?;
        self.ops.mix.run(&self.stream, &out, rows, routing)?;
        Ok(out)
    }

    fn add(&mut self, rows: &mut Rows, others: &Rows) -> Result<()> {
        rows.rounded.take();
        self.ops.add.run(&self.stream, rows, others)
    }

    fn pass(&mut self, pass: &mut Pass<'_, Cuda>) -> Result<Rows> {
        match self.generated(pass)? {
            Some(logits) => Ok(logits),
            None => self.replayed_or_composed(pass),
        }
    }

    fn follow(&mut self, pass: &mut Pass<'_, Cuda>, how: Follow) -> Result<Option<Ids>> {
        self.followed(pass, how)
    }

    fn id(&mut self, ids: &Ids, at: usize) -> Result<Option<u32>> {
        ids.wait(at)
    }

    fn pace(&mut self, ahead: usize) -> Result<()> {
        self.passes.push_back(Event::record(&self.stream)?);
        while self.passes.len() > ahead {
            self.passes.pop_front().map_or(Ok(()), |oldest| oldest.wait())?;
        }
        Ok(())
    }

    fn wanted(&mut self, rows: Rows, step: &Step) -> Result<Rows> {
        let out = self.scratch.rows(step.wanted, rows.width())?;
        self.ops.rows.wanted(&self.stream, &out, &rows, step)?;
        Ok(out)
    }
}
