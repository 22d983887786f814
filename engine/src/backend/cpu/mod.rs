//! The CPU backend: the truth that can be read. The bits of a row depend on the model and the row's
//! own past; never on threads, on the rows beside it, or on how a prompt was cut.

mod attend;
pub mod available;
mod cache;
pub mod level;
pub mod math;
pub mod matmul;
mod ops;
pub mod pages;
pub mod pool;
mod read;
mod rows;
mod weight;

pub use cache::Cache;
pub use rows::{Rows, Scratch};
pub use weight::Weight;

use super::{Backend, Source, composed, exactly};
use crate::adapters::weights::NormWeights;
use crate::adapters::{Activation, Attention, Norm, Role, Rope};
use crate::batch::{Batch, Row};
use crate::error::{Error, Result};
use crate::kv::CachePlan;
use crate::loader::Gguf;
use attend::Look;
use matmul::{Matrices, Misfit, Output, Pair, Precision};
use pages::Pages;
use pool::Pool;
use std::sync::Arc;

/// A weight: a matrix in its file and as products read it, or a vector decoded once.
#[derive(Debug, Clone)]
pub enum Tensor {
    /// Decoded row by row.
    Matrix(Weight),
    /// Decoded.
    Vector(Vec<f32>),
}

/// A batch with the angles of its rows.
#[derive(Debug)]
pub struct Step {
    rows: Vec<Row>,
    wanted: Vec<u32>,
    /// For each rotation, cosines and sines of all rows.
    angles: Vec<Angles>,
}

#[derive(Debug)]
struct Angles {
    pairs: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

/// Which experts see which row.
#[derive(Debug)]
pub struct Routing {
    used: usize,
    ids: Vec<u32>,
    shares: Vec<f32>,
}

/// The backend.
#[derive(Debug)]
pub struct Cpu {
    scratch: Scratch,
    pool: Pool,
    precision: Precision,
    /// Where weights are arranged.
    pages: Pages,
}

impl Default for Cpu {
    /// As many threads as the machine has, activations as they are.
    fn default() -> Cpu {
        let n_threads = std::thread::available_parallelism().map_or(1, |n| n.get());
        Cpu::new(n_threads, Precision::Exact)
    }
}

impl Cpu {
    /// A backend with so many threads, the caller's included.
    pub fn new(n_threads: usize, precision: Precision) -> Cpu {
        Cpu {
            scratch: Scratch::default(),
            pool: Pool::new(n_threads),
            precision,
            pages: Pages::default(),
        }
    }

    /// The same with buffers that are full of NaN until they are written.
    pub fn poisoned(self) -> Cpu {
        Cpu { scratch: Scratch::poisoned(), ..self }
    }

    /// The same with at most so many bytes for weights in the order in which they are read; those
    /// that have no place there are read as the file has them, for the same bits.
    pub fn arranging(self, bytes: usize) -> Cpu {
        Cpu { pages: Pages::limited(bytes), ..self }
    }

    /// Bytes of weights that are arranged.
    pub fn arranged(&self) -> usize {
        self.pages.used()
    }

    /// New rows, each made from the row at the same place of `rows`.
    fn each(&self, rows: &Rows, width: usize, make: impl Fn(&[f32], &mut [f32]) + Sync) -> Rows {
        let mut out = self.scratch.rows(rows.count(), width);
        let (from, rows) = (rows.width(), &rows[..]);
        self.parts(&mut out, width, &|row, out| make(&rows[row * from..][..from], out));
        out
    }

    /// The rows times each matrix, plus its bias.
    fn products(&self, of: Vec<(Matrices, Option<&[f32]>)>, rows: &Rows) -> Result<Vec<Rows>> {
        let mut outs: Vec<Rows> =
            of.iter().map(|(w, _)| self.scratch.rows(rows.count(), w.rows())).collect();
        let products = of.iter().zip(&mut outs).map(|((w, _), out)| (*w, &mut out[..])).collect();
        matmul::matmuls(&self.pool, self.precision, rows, products).map_err(misfit)?;
        for ((_, bias), out) in of.iter().zip(&mut outs) {
            if let Some(bias) = bias {
                let width = out.width();
                self.parts(out, width, &|_, row| ops::add(row, bias));
            }
        }
        Ok(outs)
    }

    /// Calls `work` for every `len` numbers of `out`, on all threads if that is worth waking them.
    fn parts(&self, out: &mut [f32], len: usize, work: &(dyn Fn(usize, &mut [f32]) + Sync)) {
        if out.len() < WORTH_A_THREAD {
            out.chunks_mut(len).enumerate().for_each(|(part, out)| work(part, out));
        } else {
            self.pool.parts(out, len, work);
        }
    }
}

/// Fewer numbers than these are done before another thread is awake.
const WORTH_A_THREAD: usize = 1 << 12;
/// Numbers that a thread takes where there are no rows.
const PART: usize = 1 << 10;

fn misfit(misfit: Misfit) -> Error {
    Error::Usage(misfit.to_string())
}

impl Tensor {
    fn matrix(&self) -> Result<&Weight> {
        match self {
            Tensor::Matrix(weight) => Ok(weight),
            Tensor::Vector(_) => Err(Error::Usage("a vector where a matrix is needed".into())),
        }
    }

    fn vector(&self) -> Result<&[f32]> {
        match self {
            Tensor::Vector(values) => Ok(values),
            Tensor::Matrix(_) => Err(Error::Usage("a matrix where a vector is needed".into())),
        }
    }
}

impl Backend for Cpu {
    type Weight = Tensor;
    type Rows = Rows;
    type Step = Step;
    type Cache = Cache;
    type Routing = Routing;
    const LAYOUT: &'static str = "cpu";
    /// The sampler chooses.
    type Ids = ();

    fn name(&self) -> String {
        "cpu".into()
    }

    fn remark(&self) -> Option<String> {
        let (left, all) = (self.pages.refused(), self.pages.refused() + self.pages.used());
        (left > 0).then(|| {
            let mib = |bytes: usize| bytes >> 20;
            format!(
                "too little memory to arrange weights: {} of {} MiB are read as the file has them, \
                 which is slower",
                mib(left),
                mib(all)
            )
        })
    }

    fn read_speed(&mut self) -> Result<f64> {
        Ok(read::read_speed(&self.pool))
    }

    fn upload(&mut self, file: &Arc<Gguf>, position: usize, role: Role) -> Result<Tensor> {
        let weight = Weight::new(file, position)?;
        Ok(match role {
            Role::Vector | Role::ExpertBias => Tensor::Vector(weight.all()),
            Role::Table => Tensor::Matrix(weight),
            Role::TiedTable | Role::Matrix | Role::ExpertMatrix => {
                Tensor::Matrix(weight.arranged(&self.pool, &mut self.pages)?)
            }
        })
    }

    fn cache(&mut self, plan: &CachePlan) -> Result<Cache> {
        Ok(Cache::new(plan))
    }

    fn step(&mut self, batch: &Batch, ropes: &[Rope]) -> Result<Step> {
        let angles = ropes.iter().map(|rope| Angles::new(rope, &batch.rows)).collect();
        Ok(Step { rows: batch.rows.clone(), wanted: batch.wanted(), angles })
    }

    fn save(&mut self, cache: &Cache, slot: usize, length: usize) -> Result<Vec<u8>> {
        Ok(cache.save(slot, length))
    }

    fn restore(
        &mut self,
        cache: &mut Cache,
        slot: usize,
        length: usize,
        saved: &[u8],
    ) -> Result<()> {
        cache.restore(slot, length, saved)
    }

    fn width(&self, rows: &Rows) -> usize {
        rows.width()
    }

    fn read(&mut self, rows: &Rows) -> Result<Vec<f32>> {
        Ok(rows.to_vec())
    }

    fn write(&mut self, width: usize, values: &[f32]) -> Result<Rows> {
        let mut rows = self.scratch.rows(values.len() / width, width);
        rows.copy_from_slice(values);
        Ok(rows)
    }

    fn read_routing(&mut self, routing: &Routing) -> Result<(Vec<u32>, Vec<f32>)> {
        Ok((routing.ids.clone(), routing.shares.clone()))
    }

    fn embed(&mut self, table: &Tensor, step: &Step) -> Result<Rows> {
        let table = table.matrix()?;
        let mut out = self.scratch.rows(step.rows.len(), table.width);
        self.parts(&mut out, table.width, &|row, out| {
            table.row(step.rows[row].token as usize, out);
        });
        Ok(out)
    }

    fn add_positions(&mut self, rows: &mut Rows, table: &Tensor, step: &Step) -> Result<()> {
        let table = table.matrix()?;
        let mut position = vec![0.0; table.width];
        for (row, out) in step.rows.iter().zip(rows.chunks_exact_mut(table.width)) {
            table.row(row.position as usize, &mut position);
            ops::add(out, &position);
        }
        Ok(())
    }

    fn norm(&mut self, norm: Norm, weights: &NormWeights<Tensor>, rows: &Rows) -> Result<Rows> {
        let weight = weights.weight.vector()?;
        let bias = weights.bias.as_ref().map(Tensor::vector).transpose()?;
        Ok(self.each(rows, rows.width(), |row, out| ops::norm(norm, weight, bias, row, out)))
    }

    fn matmul(
        &mut self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        rows: &Rows,
        step: &Step,
    ) -> Result<Rows> {
        let [out] = self.matmuls([(weight, bias)], rows, step)?;
        Ok(out)
    }

    fn matmuls<const N: usize>(
        &mut self,
        weights: [(&Tensor, Option<&Tensor>); N],
        rows: &Rows,
        _: &Step,
    ) -> Result<[Rows; N]> {
        let mut products = Vec::with_capacity(N);
        for (weight, bias) in weights {
            let bias = bias.map(Tensor::vector).transpose()?;
            products.push((weight.matrix()?.matrices(1)?, bias));
        }
        exactly(self.products(products, rows)?)
    }

    fn matmul_split<const N: usize>(
        &mut self,
        (weight, bias): (&Tensor, Option<&Tensor>),
        widths: [usize; N],
        rows: &Rows,
        step: &Step,
    ) -> Result<[Rows; N]> {
        let all = weight.matrix()?.matrices(1)?;
        let values = bias.map(Tensor::vector).transpose()?;
        let (mut products, mut start) = (Vec::with_capacity(N), 0);
        for width in widths {
            let own = start..start + width;
            let Some(some) = all.some(own.clone()) else {
                return composed::matmul_split(self, (weight, bias), widths, rows, step);
            };
            products.push((some, values.map(|values| &values[own])));
            start += width;
        }
        exactly(self.products(products, rows)?)
    }

    fn slice(&mut self, rows: &Rows, start: usize, width: usize) -> Result<Rows> {
        let copy = |row: &[f32], out: &mut [f32]| out.copy_from_slice(&row[start..start + width]);
        Ok(self.each(rows, width, copy))
    }

    fn rope(
        &mut self,
        rows: &mut Rows,
        rope: &Rope,
        table: usize,
        head_dim: usize,
        step: &Step,
    ) -> Result<()> {
        let width = rows.width();
        let angles = &step.angles[table];
        self.parts(rows, width, &|index, row| {
            let (cos, sin) = angles.of(index);
            row.chunks_exact_mut(head_dim).for_each(|head| ops::rope(rope, head, cos, sin));
        });
        Ok(())
    }

    fn store(
        &mut self,
        cache: &mut Cache,
        layer: usize,
        keys: &Rows,
        values: &Rows,
        step: &Step,
    ) -> Result<()> {
        let width = keys.width();
        let pairs = keys.chunks_exact(width).zip(values.chunks_exact(width));
        for (row, (key, value)) in step.rows.iter().zip(pairs) {
            cache.layers[layer].put(row.slot as usize, row.position as usize, key, value);
        }
        Ok(())
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
        let (cache, width) = (&cache.layers[layer], attention.q_width());
        let (heads, group) = (attention.kv_heads, width / attention.kv_heads);
        let blocks = attend::blocks(&step.rows);
        let (level, all) = (self.pool.level(), &queries[..]);
        let mut out = self.scratch.rows(queries.count(), width);
        let places = Output::new(&mut out);
        self.pool.each(blocks.len() * heads, &|item| {
            let (block, kv_head) = (blocks[item / heads].clone(), item % heads);
            let queries = &all[block.start * width..block.end * width];
            let rows = &step.rows[block.clone()];
            let look = Look { attention, sinks, cache, rows, kv_head, queries };
            for (row, seen) in block.zip(look.look(level).chunks_exact(group)) {
                // SAFETY: no other item has this key head's part of the row.
                unsafe { places.write(row * width + kv_head * group, seen) };
            }
        });
        Ok(out)
    }

    fn activate(&mut self, how: Activation, gate: Option<&Rows>, mut up: Rows) -> Result<Rows> {
        let (level, gate) = (self.pool.level(), gate.map(|gate| &gate[..]));
        self.parts(&mut up, PART, &|part, up| {
            let own = part * PART..part * PART + up.len();
            ops::activate(level, how, gate.map(|gate| &gate[own]), up);
        });
        Ok(up)
    }

    fn route(&mut self, scores: &Rows, used: usize) -> Result<Routing> {
        let count = scores.count() * used;
        let mut routing = Routing { used, ids: vec![0; count], shares: vec![0.0; count] };
        let picked = routing.ids.chunks_exact_mut(used).zip(routing.shares.chunks_exact_mut(used));
        for (row, (ids, shares)) in scores.chunks_exact(scores.width()).zip(picked) {
            ops::route(row, used, ids, shares);
        }
        Ok(routing)
    }

    fn expert_matmul(
        &mut self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        rows: &Rows,
        source: Source,
        routing: &Routing,
        _: &Step,
    ) -> Result<Rows> {
        let weight = weight.matrix()?;
        let bias = bias.map(Tensor::vector).transpose()?;
        let outputs = weight.rows_per_expert;
        let experts = weight.matrices(weight.rows / outputs.max(1))?;
        let mut out = self.scratch.rows(routing.ids.len(), outputs);
        let pair = |(slot, expert): (usize, &u32)| {
            let row = if source == Source::Row { slot / routing.used } else { slot };
            Pair { row: row as u32, matrix: *expert }
        };
        let pairs: Vec<Pair> = routing.ids.iter().enumerate().map(pair).collect();
        matmul::matmul_pairs(&self.pool, self.precision, &experts, rows, &pairs, &mut out)
            .map_err(misfit)?;
        if let Some(bias) = bias {
            self.parts(&mut out, outputs, &|pair, out| {
                ops::add(out, &bias[pairs[pair].matrix as usize * outputs..][..outputs]);
            });
        }
        Ok(out)
    }

    fn mix(&mut self, rows: &Rows, routing: &Routing) -> Result<Rows> {
        let (used, width) = (routing.used, rows.width());
        let mut out = self.scratch.rows(rows.count() / used, width);
        let rows = &rows[..];
        self.parts(&mut out, width, &|index, out| {
            let slots = index * used..(index + 1) * used;
            let rows = &rows[slots.start * width..slots.end * width];
            ops::mix(rows, &routing.ids[slots.clone()], &routing.shares[slots], out);
        });
        Ok(out)
    }

    fn add(&mut self, rows: &mut Rows, others: &Rows) -> Result<()> {
        let others = &others[..];
        self.parts(rows, PART, &|part, own| ops::add(own, &others[part * PART..][..own.len()]));
        Ok(())
    }

    fn wanted(&mut self, rows: Rows, step: &Step) -> Result<Rows> {
        let width = rows.width();
        let mut out = self.scratch.rows(step.wanted.len(), width);
        for (index, out) in step.wanted.iter().zip(out.chunks_exact_mut(width)) {
            let at = *index as usize * width;
            out.copy_from_slice(&rows[at..at + width]);
        }
        Ok(out)
    }
}

impl Angles {
    fn new(rope: &Rope, rows: &[Row]) -> Angles {
        let pairs = rope.pairs();
        let (mut cos, mut sin) = (vec![0.0; pairs * rows.len()], vec![0.0; pairs * rows.len()]);
        let both = cos.chunks_exact_mut(pairs).zip(sin.chunks_exact_mut(pairs));
        for (row, (cos, sin)) in rows.iter().zip(both) {
            rope.turn(row.position, row.total, cos, sin);
        }
        Angles { pairs, cos, sin }
    }

    fn of(&self, row: usize) -> (&[f32], &[f32]) {
        let range = row * self.pairs..(row + 1) * self.pairs;
        (&self.cos[range.clone()], &self.sin[range])
    }
}
