//! Generated tokens of models that have a fused step: one launch a token (`decode_token.cu`), in
//! place of the composed verbs. Knows buffers and launches; what is fused stands in the kernels,
//! and which models have it in `shape`.

mod packed;
mod shape;

pub(super) use self::packed::packed;
pub(super) use self::shape::released;

use self::packed::is_packed;
use self::shape::Shape;
use super::kernels::Kernels;
use super::kv::Cache;
use super::memory::{Buffer, Owner};
use super::module::Function;
use super::step::Step;
use super::stream::Stream;
use super::tensor::Tensor;
use crate::adapters::Architecture;
use crate::adapters::weights::{Linear, Qkv, Weights};
use crate::error::{Error, Result};
use crate::kv::Precision;
use std::sync::{Mutex, PoisonError};

/// Shared memory that a block asks for: all that a multiprocessor of Hopper lends to one.
const SHARED: u32 = 232_448;
/// Sixteen warps that compute and one that feeds them.
const THREADS: u32 = 17 * 32;
/// Positions of one item of attention, `CHUNK` of `decode_state.cuh`.
const CHUNK: usize = 512;
/// More than the blackboard needs, for any shape that fits.
const BOARD_BYTES: usize = 1 << 20;

/// A model's fused step.
pub(super) struct Decode {
    shape: Shape,
    /// Written and read by the blocks of a launch; must outlive each.
    board: Buffer,
    picked: Buffer,
    state: Mutex<State>,
}

/// What changes from step to step.
struct State {
    /// Steps so far: packets on the board carry it, so it must never repeat.
    serial: u32,
    /// What `table` on the device holds.
    entries: Vec<u64>,
    table: Buffer,
    partial: Buffer,
    /// The kernel, for the precision of the cache it was last asked for.
    step: Option<(Precision, Function)>,
}

/// What a step works on.
pub(super) struct On<'o> {
    pub(super) kernels: &'o Kernels,
    pub(super) stream: &'o Stream,
    pub(super) architecture: &'o Architecture,
    pub(super) weights: &'o Weights<Tensor>,
}

/// Where the results of a row go, as addresses; 0 is nowhere.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct To {
    /// The row of logits.
    pub(super) logits: u64,
    /// The likeliest id, as the token of the row that follows.
    pub(super) next: u64,
    /// The same, to the host.
    pub(super) told: u64,
}

impl Decode {
    /// The fused step of this model on this device, if there is one.
    pub(super) fn new(on: &On<'_>) -> Result<Option<Decode>> {
        let context = on.stream.context();
        let shape = Shape::of(context.device(), on.architecture, on.weights);
        let Some(shape) = shape.filter(|_| is_packed(on.weights)) else { return Ok(None) };
        let room = |what: &str, bytes| Buffer::new(context, Owner::Scratch, what, bytes);
        let board = room("blackboard", BOARD_BYTES)?;
        on.stream.fill(&board, 0)?;
        let state = State {
            serial: 0,
            entries: Vec::new(),
            table: room("layer table", 8)?,
            partial: room("partial attention", 8)?,
            step: None,
        };
        let picked = room("picked", 4)?;
        Ok(Some(Decode { shape, board, picked, state: Mutex::new(state) }))
    }

    /// Computes row `row` of a step.
    pub(super) fn row(
        &self,
        on: &On<'_>,
        cache: &Cache,
        step: &Step,
        row: usize,
        to: &To,
    ) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.prepare(&mut state, on, cache)?;
        let Some((_, function)) = &state.step else {
            return Err(Error::kernel("decode_token", "not loaded"));
        };
        let (cosines, sines) = step.angles_of(0, row).ok_or_else(|| missing("rotation"))?;
        let picked = if to.next == 0 { self.picked.address() } else { to.next };
        let launch = function.launch().grid(self.shape.blocks, 1, 1).block(THREADS, 1);
        let launch = launch.shared(SHARED).arg(&state.table).arg(&on.weights.token_embd);
        let head = on.weights.output.as_ref().ok_or_else(|| missing("head"))?;
        let launch = launch.arg(&on.weights.output_norm.weight).arg(&head.weight);
        let launch = launch.arg(step.row_address(row)).arg(cosines).arg(sines);
        let launch = launch.arg(&self.board).arg(&state.partial).arg(to.logits);
        // Neither routes nor taps: tracing runs composed.
        let launch = launch.arg(picked).arg(to.told).arg(0u64).arg(0u64);
        launch.arg(on.architecture.norm.epsilon).arg(state.serial).on(on.stream)?;
        state.serial = state.serial.wrapping_add(1);
        Ok(())
    }

    /// Kernel, layer table and room for partial results, as this cache needs them.
    fn prepare(&self, state: &mut State, on: &On<'_>, cache: &Cache) -> Result<()> {
        if state.step.as_ref().is_none_or(|(precision, _)| *precision != cache.precision) {
            let constants = self.shape.constants(cache.precision);
            let function = on.kernels.function_for("decode_token", &constants, "decode_token")?;
            function.allow_shared(SHARED)?;
            state.step = Some((cache.precision, function));
        }
        let entries = self.table(on, cache)?;
        if entries == state.entries {
            return Ok(());
        }
        let room =
            |what: &str, bytes| Buffer::new(on.stream.context(), Owner::Scratch, what, bytes);
        // A step under way may still read the old ones.
        on.stream.synchronize()?;
        state.table = room("layer table", 8 * entries.len())?;
        on.stream.upload(bytemuck::cast_slice(&entries), &state.table, 0)?;
        let longest = cache.layers.iter().map(|layer| layer.plan.capacity).max().unwrap_or(0);
        let bytes = longest.div_ceil(CHUNK) * self.shape.heads * (64 + 2) * 8;
        state.partial = room("partial attention", bytes)?;
        on.stream.fill(&state.partial, 0)?;
        state.entries = entries;
        Ok(())
    }

    /// `struct DecodeLayer` of `decode_state.cuh`, of each layer.
    fn table(&self, on: &On<'_>, cache: &Cache) -> Result<Vec<u64>> {
        let mut words = Vec::with_capacity(self.shape.layers * 17);
        let described = cache.layers.iter().zip(&on.architecture.layers);
        for (weights, (kept, layer)) in on.weights.layers.iter().zip(described) {
            let bias = |linear: &Linear<Tensor>| {
                linear.bias.as_ref().map(address).ok_or_else(|| missing("bias"))
            };
            let network = &weights.feed_forward;
            let (Some(router), Some(gate)) = (&network.router, &network.gate) else {
                return Err(missing("router or gate"));
            };
            let Qkv::Split { q, .. } = &weights.qkv else {
                return Err(missing("split projections"));
            };
            let sinks = weights.sinks.as_ref().ok_or_else(|| missing("sinks"))?;
            let (window, capacity) = (layer.attention.window.unwrap_or(0), kept.plan.capacity);
            words.extend([
                // Queries, keys and values lie one behind the other, and so do gate and up.
                address(&q.weight),
                address(&weights.attn_out.weight),
                address(&gate.weight),
                address(&network.down.weight),
                address(&weights.attn_norm.weight),
                bias(q)?,
                address(sinks),
                bias(&weights.attn_out)?,
                address(&weights.ffn_norm.weight),
                address(&router.weight),
                bias(router)?,
                bias(gate)?,
                bias(&network.up)?,
                bias(&network.down)?,
                kept.keys.address(),
                kept.values.address(),
                window as u64 | (capacity as u64) << 32,
            ]);
        }
        Ok(words)
    }
}

fn address(tensor: &Tensor) -> u64 {
    tensor.address()
}

fn missing(what: &str) -> Error {
    Error::kernel("decode_token", format!("no {what}"))
}
