//! A backend with a defect: everything goes to the backend inside, but for the verb that is broken
//! on purpose. The fused verbs keep their default bodies, so that nothing bypasses the defect, and
//! every hit is counted: a defect that was never met proves nothing.

use engine::adapters::weights::NormWeights;
use engine::adapters::{Activation, Attention, Norm, Role, Rope};
use engine::backend::{Backend, Source};
use engine::batch::Batch;
use engine::error::Result;
use engine::kv::CachePlan;
use engine::loader::Gguf;
use half::f16;
use std::sync::Arc;

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// C04: the gate is taken for the up projection and the other way round.
    GateUpSwapped,
    /// C19: a norm adds up from the other end when more than one row is there.
    OrderDependentNorm,
    /// C11: queries and keys are turned twice.
    TurnedTwice,
    /// C05: the gate of gpt-oss is not clamped from above.
    GateNotClamped,
    /// C05: its up projection is not clamped from above.
    UpNotClampedAbove,
    /// C05: its up projection is not clamped from below.
    UpNotClampedBelow,
    /// No defect, but what a naive pass in f16 does: whatever enters a product or attention is
    /// rounded; the stream stays f32, which f16 ends before. Grids are equally good f16s that
    /// round differently: one pass is one draw.
    Half {
        /// Eighths that a number is divided by one and so many of before it is rounded.
        grid: u8,
        /// Whether what leaves is rounded, too, and keys and values.
        leaving: bool,
    },
}

/// The largest gate, the smallest and the largest up that are left.
type Clamp = (f64, f64, f64);

impl Defect {
    /// The clamp that is left of one at `limit`; none if this defect is not about a clamp.
    fn clamp(self, limit: f64) -> Option<Clamp> {
        let far = f64::INFINITY;
        match self {
            Defect::GateNotClamped => Some((far, -limit, limit)),
            Defect::UpNotClampedAbove => Some((limit, -limit, far)),
            Defect::UpNotClampedBelow => Some((limit, -far, limit)),
            _ => None,
        }
    }
}

/// A backend with a defect.
#[derive(Debug)]
pub struct Wrapped<B> {
    inner: B,
    defect: Defect,
    /// How often the defect was met.
    pub hits: usize,
}

impl<B: Backend> Wrapped<B> {
    /// Breaks a backend.
    pub fn new(inner: B, defect: Defect) -> Self {
        Wrapped { inner, defect, hits: 0 }
    }

    fn meets(&mut self, defect: Defect) -> bool {
        let meets = self.defect == defect;
        self.hits += usize::from(meets);
        meets
    }

    /// gpt-oss's activation with another clamp, by its formula.
    fn half_clamped(
        &mut self,
        alpha: f64,
        (gate_max, up_min, up_max): Clamp,
        gate: &B::Rows,
        up: &B::Rows,
    ) -> Result<B::Rows> {
        let width = self.inner.width(up);
        let (gate, up) = (self.inner.read(gate)?, self.inner.read(up)?);
        let one = |(gate, up): (&f32, &f32)| {
            let (gate, up) = (f64::from(*gate).min(gate_max), f64::from(*up));
            (gate / (1.0 + (-alpha * gate).exp()) * (up.clamp(up_min, up_max) + 1.0)) as f32
        };
        let values: Vec<f32> = gate.iter().zip(&up).map(one).collect();
        self.inner.write(width, &values)
    }

    /// Rows as a pass in f16 has them, if this is one.
    fn half(&mut self, rows: &B::Rows) -> Result<Option<B::Rows>> {
        let Defect::Half { grid, .. } = self.defect else { return Ok(None) };
        self.hits += 1;
        let step = 1.0 + f32::from(grid) / 8.0;
        let mut values = self.inner.read(rows)?;
        values.iter_mut().for_each(|x| *x = f16::from_f32(*x / step).to_f32() * step);
        let width = self.inner.width(rows);
        self.inner.write(width, &values).map(Some)
    }

    /// The same of rows that leave or are kept.
    fn half_leaving(&mut self, rows: &B::Rows) -> Result<Option<B::Rows>> {
        match self.defect {
            Defect::Half { leaving: true, .. } => self.half(rows),
            _ => Ok(None),
        }
    }

    /// What a norm gives when its sum is taken in f32, forwards for one row and backwards for
    /// several: a factor of one, but for its last bits.
    fn order_dependent(&mut self, rows: &B::Rows, out: &B::Rows) -> Result<B::Rows> {
        let width = self.inner.width(rows);
        let (before, mut after) = (self.inner.read(rows)?, self.inner.read(out)?);
        let several = before.len() > width;
        for (row, out) in before.chunks_exact(width).zip(after.chunks_exact_mut(width)) {
            let squares = row.iter().map(|x| x * x);
            let sum: f32 = if several { squares.rev().sum() } else { squares.sum() };
            let exact: f64 = row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
            let factor = (exact / f64::from(sum)).sqrt() as f32;
            out.iter_mut().for_each(|x| *x *= factor);
        }
        self.inner.write(width, &after)
    }
}

/// Verbs that go to the backend inside as they are.
macro_rules! inside {
    ($(fn $verb:ident(&mut self $(, $name:ident: $type:ty)*) -> $out:ty;)*) => {$(
        fn $verb(&mut self $(, $name: $type)*) -> $out {
            self.inner.$verb($($name),*)
        }
    )*};
}

impl<B: Backend> Backend for Wrapped<B> {
    const LAYOUT: &'static str = B::LAYOUT;
    type Weight = B::Weight;
    type Rows = B::Rows;
    type Step = B::Step;
    type Cache = B::Cache;
    type Routing = B::Routing;
    type Ids = B::Ids;

    fn name(&self) -> String {
        format!("{} with {:?}", self.inner.name(), self.defect)
    }

    fn width(&self, rows: &B::Rows) -> usize {
        self.inner.width(rows)
    }

    fn norm(
        &mut self,
        norm: Norm,
        weights: &NormWeights<B::Weight>,
        rows: &B::Rows,
    ) -> Result<B::Rows> {
        let out = self.inner.norm(norm, weights, rows)?;
        match self.meets(Defect::OrderDependentNorm) {
            true => self.order_dependent(rows, &out),
            false => Ok(out),
        }
    }

    fn rope(
        &mut self,
        rows: &mut B::Rows,
        rope: &Rope,
        table: usize,
        head_dim: usize,
        step: &B::Step,
    ) -> Result<()> {
        if self.meets(Defect::TurnedTwice) {
            self.inner.rope(rows, rope, table, head_dim, step)?;
        }
        self.inner.rope(rows, rope, table, head_dim, step)
    }

    fn activate(
        &mut self,
        activation: Activation,
        gate: Option<&B::Rows>,
        up: B::Rows,
    ) -> Result<B::Rows> {
        let Some(gate) = gate else {
            return self.inner.activate(activation, gate, up);
        };
        if self.meets(Defect::GateUpSwapped) {
            let gate = self.inner.slice(gate, 0, self.inner.width(gate))?;
            return self.inner.activate(activation, Some(&up), gate);
        }
        if let Activation::SwiGluOai { alpha, limit } = activation
            && let Some(clamp) = self.defect.clamp(limit.into())
        {
            self.hits += 1;
            return self.half_clamped(alpha.into(), clamp, gate, &up);
        }
        self.inner.activate(activation, Some(gate), up)
    }

    fn matmul(
        &mut self,
        weight: &B::Weight,
        bias: Option<&B::Weight>,
        rows: &B::Rows,
        step: &B::Step,
    ) -> Result<B::Rows> {
        let half = self.half(rows)?;
        let out = self.inner.matmul(weight, bias, half.as_ref().unwrap_or(rows), step)?;
        Ok(self.half_leaving(&out)?.unwrap_or(out))
    }

    fn attend(
        &mut self,
        attention: &Attention,
        sinks: Option<&B::Weight>,
        queries: &B::Rows,
        cache: &B::Cache,
        layer: usize,
        step: &B::Step,
    ) -> Result<B::Rows> {
        let half = self.half(queries)?;
        let queries = half.as_ref().unwrap_or(queries);
        let out = self.inner.attend(attention, sinks, queries, cache, layer, step)?;
        Ok(self.half_leaving(&out)?.unwrap_or(out))
    }

    fn expert_matmul(
        &mut self,
        weight: &B::Weight,
        bias: Option<&B::Weight>,
        rows: &B::Rows,
        source: Source,
        routing: &B::Routing,
        step: &B::Step,
    ) -> Result<B::Rows> {
        let half = self.half(rows)?;
        let rows = half.as_ref().unwrap_or(rows);
        let out = self.inner.expert_matmul(weight, bias, rows, source, routing, step)?;
        Ok(self.half_leaving(&out)?.unwrap_or(out))
    }

    fn store(
        &mut self,
        cache: &mut B::Cache,
        layer: usize,
        keys: &B::Rows,
        values: &B::Rows,
        step: &B::Step,
    ) -> Result<()> {
        let half = [self.half_leaving(keys)?, self.half_leaving(values)?];
        let [keys, values] = [(keys, &half[0]), (values, &half[1])]
            .map(|(rows, half)| half.as_ref().unwrap_or(rows));
        self.inner.store(cache, layer, keys, values, step)
    }

    inside! {
        fn read_speed(&mut self) -> Result<f64>;
        fn upload(&mut self, file: &Arc<Gguf>, position: usize, role: Role) -> Result<B::Weight>;
        fn cache(&mut self, plan: &CachePlan) -> Result<B::Cache>;
        fn step(&mut self, batch: &Batch, ropes: &[Rope]) -> Result<B::Step>;
        fn save(&mut self, cache: &B::Cache, slot: usize, length: usize) -> Result<Vec<u8>>;
        fn restore(
            &mut self, cache: &mut B::Cache, slot: usize, length: usize, saved: &[u8]
        ) -> Result<()>;
        fn read(&mut self, rows: &B::Rows) -> Result<Vec<f32>>;
        fn write(&mut self, width: usize, values: &[f32]) -> Result<B::Rows>;
        fn read_routing(&mut self, routing: &B::Routing) -> Result<(Vec<u32>, Vec<f32>)>;
        fn embed(&mut self, table: &B::Weight, step: &B::Step) -> Result<B::Rows>;
        fn add_positions(
            &mut self, rows: &mut B::Rows, table: &B::Weight, step: &B::Step
        ) -> Result<()>;
        fn slice(&mut self, rows: &B::Rows, start: usize, width: usize) -> Result<B::Rows>;
        fn route(&mut self, scores: &B::Rows, used: usize) -> Result<B::Routing>;
        fn mix(&mut self, rows: &B::Rows, routing: &B::Routing) -> Result<B::Rows>;
        fn add(&mut self, rows: &mut B::Rows, others: &B::Rows) -> Result<()>;
        fn wanted(&mut self, rows: B::Rows, step: &B::Step) -> Result<B::Rows>;
    }
}
