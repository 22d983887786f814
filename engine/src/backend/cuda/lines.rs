//! Generated rows of dense models: five launches a layer, recorded once and replayed for every
//! token. What changes from token to token is brought to where the recording reads it. Gives the
//! bits that the composed verbs give, so that which of them runs is nobody's concern.

use super::backend::Cuda;
use super::kv::Cache;
use super::layout::Layout;
use super::module::Argument;
use super::ops::{Fresh, From, Line, Matrix, Moved, Ops, Shares, Which};
use super::rows::{Piece, Rows, Scratch};
use super::step::Address;
use super::stream::{Graph, Stream};
use super::tensor::Tensor;
use crate::adapters::weights::{LayerWeights, Linear, Qkv, Weights};
use crate::adapters::{Activation, Architecture, Gate, Layer, Role};
use crate::backend::{Pass, composed};
use crate::error::{Error, Result};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

/// Rows that are computed this way together at most.
const MOST: usize = 64;
/// Recordings that are kept: of numbers of rows, and of caches.
const KEPT: usize = 8;

/// A model's recordings, with the rows that they work on.
pub(super) struct Lines {
    state: Mutex<State>,
}

struct State {
    /// What the recordings are of; a description may be edited between two passes.
    architecture: Architecture,
    room: Option<Room>,
    recordings: Vec<Recording>,
}

/// Intermediate rows, for so many rows of a step.
struct Room {
    count: usize,
    stream: Rows,
    qkv: Rows,
    partial: Rows,
    active: Rows,
    /// Rows of the step, and behind them cosines and sines of every rotation.
    step: Piece,
}

struct Recording {
    rows: usize,
    cache: Vec<u64>,
    graph: Graph,
}

/// What is recorded.
struct Recorder<'r> {
    ops: &'r Ops,
    stream: &'r Stream,
    architecture: &'r Architecture,
    weights: &'r Weights<Tensor>,
    ropes: &'r [Option<usize>],
    pairs: Vec<usize>,
    room: &'r Room,
    rows: usize,
    fast: bool,
}

fn head(weights: &Weights<Tensor>) -> &Tensor {
    weights.output.as_ref().map_or(&weights.token_embd, |output| &output.weight)
}

impl Lines {
    /// Whether a model's generated rows are computed this way.
    pub(super) fn fits(
        line: &Line,
        architecture: &Architecture,
        weights: &Weights<Tensor>,
    ) -> bool {
        let mut layers = architecture.layers.iter().zip(&weights.layers);
        line.could_take(head(weights))
            && architecture.n_embd.is_multiple_of(32)
            && layers.all(|(layer, weights)| layer_fits(line, layer, weights))
    }

    pub(super) fn new(architecture: &Architecture) -> Lines {
        let architecture = architecture.clone();
        Lines { state: Mutex::new(State { architecture, room: None, recordings: Vec::new() }) }
    }
}

/// A model's weights, its matrices woven if its generated rows are computed this way.
pub(super) fn woven(
    ops: &Ops,
    stream: &Stream,
    architecture: &Architecture,
    weights: Weights<Tensor>,
) -> Result<Weights<Tensor>> {
    if !Lines::fits(&ops.line, architecture, &weights) {
        return Ok(weights);
    }
    let weave = |weight: Tensor, role| match role {
        Role::Matrix | Role::TiedTable => {
            let layout = Layout::Woven { rows: weight.rows };
            ops.repack.in_place(stream, &weight, layout)
        }
        _ => Ok(weight),
    };
    weights.map(weave, |_| ())
}

fn layer_fits(line: &Line, layer: &Layer, weights: &LayerWeights<Tensor>) -> bool {
    let (attention, ffn) = (&layer.attention, &layer.feed_forward);
    let network = &weights.feed_forward;
    let qkv = match &weights.qkv {
        Qkv::Fused(all) => line.could_take(&all.weight),
        Qkv::Split { q, k, v } => [q, k, v].into_iter().all(|it| line.could_take(&it.weight)),
    };
    let gate = match (ffn.gate, &network.gate) {
        (Gate::Split, Some(gate)) => {
            line.could_take(&gate.weight) && gate.weight.format.id == network.up.weight.format.id
        }
        (Gate::Fused, _) => ffn.n_ff.is_multiple_of(8),
        (Gate::None, None) => matches!(ffn.activation, Activation::Gelu(_)),
        _ => false,
    };
    ffn.experts.is_none()
        && Line::attends(attention)
        && qkv
        && gate
        && [&weights.attn_out, &network.up, &network.down]
            .iter()
            .all(|it| line.could_take(&it.weight))
}

impl Room {
    fn new(
        scratch: &Scratch,
        architecture: &Architecture,
        count: usize,
        pairs: &[usize],
    ) -> Result<Room> {
        let widest = |of: fn(&Layer) -> usize| architecture.layers.iter().map(of).max();
        let rows = |width: Option<usize>| scratch.rows(count, width.unwrap_or(0));
        let qkv = |layer: &Layer| layer.attention.q_width() + 2 * layer.attention.kv_width();
        Ok(Room {
            count,
            stream: rows(Some(architecture.n_embd))?,
            qkv: rows(widest(qkv))?,
            partial: rows(widest(|layer| Line::partial_width(&layer.attention)))?,
            active: rows(widest(|layer| layer.feed_forward.n_ff))?,
            step: scratch.piece(16 * count + 8 * count * pairs.iter().sum::<usize>())?,
        })
    }

    /// Cosines and sines of rotation `table`.
    fn angles(&self, pairs: &[usize], table: usize) -> (u64, u64) {
        let before: usize = pairs.iter().take(table).sum();
        let at = 16 * self.count + 8 * self.count * before;
        (self.step.at(at), self.step.at(at + 4 * self.count * pairs.get(table).unwrap_or(&0)))
    }
}

impl Cuda {
    /// Passes that were replayed so far, so that a case can show that one was.
    pub fn replayed(&self) -> u64 {
        self.replayed.load(Ordering::Relaxed)
    }

    /// The logits of a step, by whichever way this model and this step have.
    pub(super) fn replayed_or_composed(&mut self, pass: &mut Pass<'_, Cuda>) -> Result<Rows> {
        match self.lines(pass)? {
            Some(logits) => Ok(logits),
            None => composed::pass(self, pass),
        }
    }

    /// The logits of a step of generated rows, each of another sequence, if this model's are
    /// computed here and nobody wants to look at anything between.
    fn lines(&self, pass: &mut Pass<'_, Cuda>) -> Result<Option<Rows>> {
        let step = pass.step;
        if !step.generated || step.prompt || !step.apart || step.rows > MOST || pass.taps.active() {
            return Ok(None);
        }
        let kept = &pass.weights.token_embd.lines;
        let lines = kept.get_or_init(|| {
            let fits = Lines::fits(&self.ops.line, pass.architecture, pass.weights);
            (fits && self.ops.line.takes(head(pass.weights)))
                .then(|| Box::new(Lines::new(pass.architecture)))
        });
        let Some(lines) = lines else { return Ok(None) };
        let mut state = lines.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.replay(&mut state, pass)?;
        self.replayed.fetch_add(1, Ordering::Relaxed);
        let room = state.room.as_ref().ok_or_else(|| missing("room"))?;
        self.logits(room, pass).map(Some)
    }

    fn replay(&self, state: &mut State, pass: &mut Pass<'_, Cuda>) -> Result<()> {
        let step = pass.step;
        if state.architecture != *pass.architecture {
            state.architecture = pass.architecture.clone();
            (state.room, state.recordings) = (None, Vec::new());
        }
        if state.room.as_ref().is_none_or(|room| room.count < step.rows) {
            // What is recorded reads the old rows, and may still be under way.
            self.stream().synchronize()?;
            state.recordings.clear();
            state.room = None;
            let room = Room::new(&self.scratch, pass.architecture, step.rows, step.pairs())?;
            state.room = Some(room);
        }
        let room = state.room.as_ref().ok_or_else(|| missing("room"))?;
        self.bring(room, pass)?;
        let cache = places(pass.cache);
        let known = |it: &Recording| it.rows == step.rows && it.cache == cache;
        let at = match state.recordings.iter().position(known) {
            Some(at) => at,
            None => {
                let graph = self.record(room, pass)?;
                if state.recordings.len() == KEPT {
                    self.stream().synchronize()?;
                    state.recordings.remove(0);
                }
                state.recordings.push(Recording { rows: step.rows, cache, graph });
                state.recordings.len() - 1
            }
        };
        state.recordings[at].graph.launch(self.stream())
    }

    /// The step's rows and angles to where recordings read them, and its tokens' embeddings.
    fn bring(&self, room: &Room, pass: &Pass<'_, Cuda>) -> Result<()> {
        let (step, weights) = (pass.step, pass.weights);
        let (stream, embed) = (self.stream(), &self.ops.embed);
        embed.tokens(stream, &room.stream, &weights.token_embd, step)?;
        let learned = pass.architecture.learned_positions;
        if let Some(table) = weights.position_embd.as_ref().filter(|_| learned) {
            embed.positions(stream, &room.stream, table, step)?;
        }
        let moved = |to, from: Address, words| Moved { to, from: from.bits(), words };
        let mut pieces = vec![moved(room.step.at(0), step.rows_address(), 4 * step.rows)];
        for (table, pairs) in step.pairs().iter().enumerate() {
            let (cosines, sines) = step.angles(table).ok_or_else(|| missing("angles"))?;
            let (to_cosines, to_sines) = room.angles(step.pairs(), table);
            pieces.push(moved(to_cosines, cosines, step.rows * pairs));
            pieces.push(moved(to_sines, sines, step.rows * pairs));
        }
        self.ops.rows.bring(stream, &pieces)
    }

    fn record(&self, room: &Room, pass: &Pass<'_, Cuda>) -> Result<Graph> {
        let recorder = Recorder {
            ops: &self.ops,
            stream: self.stream(),
            architecture: pass.architecture,
            weights: pass.weights,
            ropes: pass.ropes,
            pairs: pass.step.pairs().to_vec(),
            room,
            rows: pass.step.rows,
            fast: self.fast,
        };
        let layers = 0..pass.architecture.layers.len();
        let mut graph = self
            .stream()
            .capture(|| layers.clone().try_for_each(|layer| recorder.layer(layer, pass.cache)))?;
        graph.prepare(self.stream())?;
        Ok(graph)
    }

    /// The last norm and the logits of the rows that want them.
    fn logits(&self, room: &Room, pass: &Pass<'_, Cuda>) -> Result<Rows> {
        let (step, weights) = (pass.step, pass.weights);
        let out = self.scratch.rows(step.wanted, pass.architecture.n_vocab)?;
        let (weight, bias) = match &weights.output {
            Some(output) => (&output.weight, output.bias.as_ref()),
            None => (&weights.token_embd, None),
        };
        let from =
            From::Normed(pass.architecture.norm, &weights.output_norm, room.stream.address());
        let gather = step.wanted_address().bits();
        let which = Which { rows: step.wanted, gather, ..Which::default() };
        let matrix = Matrix::all(weight, bias);
        let to = (out.address(), out.width());
        self.ops.line.project(self.stream(), to, &from, &which, &[matrix], false)?;
        Ok(out)
    }
}

impl Recorder<'_> {
    fn layer(&self, index: usize, cache: &Cache) -> Result<()> {
        let (line, room, stream) = (&self.ops.line, self.room, self.stream);
        let (layer, weights) = (&self.architecture.layers[index], &self.weights.layers[index]);
        let attention = &layer.attention;
        let which = Which { rows: self.rows, ..Which::default() };
        let embd = (room.stream.address(), self.architecture.n_embd);
        let (q_width, kv_width) = (attention.q_width(), attention.kv_width());
        let qkv = (room.qkv.address(), q_width + 2 * kv_width);
        let bias = |linear| given(linear, attention.qkv_bias);
        let matrices = match &weights.qkv {
            Qkv::Fused(all) => vec![bias(all)],
            Qkv::Split { q, k, v } => vec![bias(q), bias(k), bias(v)],
        };
        let from = From::Normed(self.architecture.norm, &weights.attn_norm, embd.0);
        line.project(stream, qkv, &from, &which, &matrices, index > 0)?;
        let turn = match (&attention.rope, self.ropes[index]) {
            (Some(rope), Some(table)) => {
                let (cosines, sines) = room.angles(&self.pairs, table);
                Some((rope, cosines, sines))
            }
            _ => None,
        };
        let keys = qkv.0 + 4 * q_width as u64;
        let fresh = Fresh { keys, values: keys + 4 * kv_width as u64, stride: qkv.1, turn };
        let shares = Shares {
            attention,
            sinks: weights.sinks.as_ref().filter(|_| attention.sinks),
            partial: room.partial.address(),
            rows: room.step.at(0),
        };
        line.attend(stream, &shares, qkv, Some(&fresh), (cache, index), self.rows, true)?;
        let out = given(&weights.attn_out, attention.out_bias);
        line.add(stream, embd, &From::Shares(&shares), &which, out)?;
        let (ffn, network) = (&layer.feed_forward, &weights.feed_forward);
        let from = From::Normed(self.architecture.norm, &weights.ffn_norm, embd.0);
        let up = given(&network.up, ffn.bias);
        let half = |first| Matrix { first, outputs: ffn.n_ff, ..up };
        let gate_up = match (ffn.gate, &network.gate) {
            (Gate::Fused, _) => (Some(half(0)), half(ffn.n_ff)),
            (_, gate) => (gate.as_ref().map(|gate| given(gate, ffn.bias)), up),
        };
        let active = (room.active.address(), ffn.n_ff);
        line.activate(stream, active, &from, &which, gate_up, (ffn.activation, self.fast))?;
        let down = given(&network.down, ffn.bias);
        line.add(stream, embd, &From::Rows(active.0), &which, down)
    }
}

/// `bias`: whether the description says that there is one.
fn given(linear: &Linear<Tensor>, bias: bool) -> Matrix<'_> {
    Matrix::all(&linear.weight, linear.bias.as_ref().filter(|_| bias))
}

/// All that a recording takes from a cache.
fn places(cache: &Cache) -> Vec<u64> {
    let layer = |layer: &super::kv::LayerCache| {
        [layer.keys.address(), layer.values.address(), layer.plan.capacity as u64]
    };
    let precision = std::iter::once(cache.precision.bytes() as u64);
    cache.layers.iter().flat_map(layer).chain(precision).collect()
}

fn missing(what: &str) -> Error {
    Error::kernel("lines", format!("{what} is missing"))
}
