//! How much memory a model needs, worked out from its description before anything is allocated.
//! Knows shapes; whether a backend keeps to them is a case of the suite.

use crate::adapters::{Architecture, Gate, Layer};
use crate::batch::ROWS;
use crate::kv::{CachePlan, Precision};

/// What keys and values of one sequence take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheBytes {
    /// Layers that keep every position, and what a position takes in all of them.
    pub whole: (usize, u64),
    /// Layers that keep a window, and what all of them take however long the sequence is.
    pub windowed: (usize, u64),
}

impl CacheBytes {
    /// For a plan of any number of sequences.
    pub fn of(architecture: &Architecture, plan: &CachePlan) -> CacheBytes {
        let mut bytes = CacheBytes { whole: (0, 0), windowed: (0, 0) };
        for (layer, kept) in architecture.layers.iter().zip(&plan.layers) {
            let position = 2 * (kept.width * plan.precision.bytes()) as u64;
            match layer.attention.window {
                Some(_) => {
                    bytes.windowed.0 += 1;
                    bytes.windowed.1 += position * kept.capacity as u64;
                }
                None => {
                    bytes.whole.0 += 1;
                    bytes.whole.1 += position;
                }
            }
        }
        bytes
    }

    /// What one sequence of `context` positions takes.
    pub fn sequence(&self, context: usize) -> u64 {
        self.whole.1 * context as u64 + self.windowed.1
    }
}

/// Bytes of the intermediate rows that live at the same time while `rows` rows pass through the
/// model, `wanted` of which want logits: the largest of what attention, feed-forward and head hold
/// at once, each in f32, as the composed pass makes them.
pub fn activations(architecture: &Architecture, rows: usize, wanted: usize) -> u64 {
    let n_embd = architecture.n_embd;
    let head = (2 * n_embd + architecture.n_vocab) * wanted;
    let last = architecture.layers.len().saturating_sub(1);
    let blocks = architecture.layers.iter().enumerate().map(|(index, layer)| {
        // After attention the last block goes on with the rows that are wanted.
        let left = if index == last { wanted } else { rows };
        (attention(n_embd, layer) * rows).max(feed_forward(n_embd, layer) * left)
    });
    4 * blocks.max().unwrap_or(0).max(head) as u64
}

/// Elements a row: the stream, its norm, query, key and value (twice while they are taken apart),
/// what was seen, and what is added.
fn attention(n_embd: usize, layer: &Layer) -> usize {
    let (q, kv) = (layer.attention.q_width(), layer.attention.kv_width());
    let qkv = q + 2 * kv;
    let taken_apart = if layer.attention.fused_qkv { 2 * n_embd + 2 * qkv } else { 0 };
    taken_apart.max(3 * n_embd + qkv + q)
}

/// Elements a row: the stream, what attention added, its norm, gate and up (twice while they are
/// taken apart), in whose place the activation comes, and what is added; all but the first three
/// and the last once for each expert that sees the row.
fn feed_forward(n_embd: usize, layer: &Layer) -> usize {
    let ffn = &layer.feed_forward;
    let inner = match ffn.gate {
        Gate::None => ffn.n_ff,
        Gate::Split => 2 * ffn.n_ff,
        Gate::Fused => 4 * ffn.n_ff,
    };
    let (experts, used) = ffn.experts.map_or((0, 1), |experts| (experts.count, experts.used));
    let mixed = if experts > 0 { used * n_embd } else { 0 };
    4 * n_embd + experts + used * inner + mixed
}

/// A plan for one sequence as `inspect` shows it: as long as the model was made for, with keys and
/// values in f16, and rows in parts of `ROWS`.
pub fn usual_plan(architecture: &Architecture) -> CachePlan {
    CachePlan::new(architecture, 1, architecture.n_ctx, ROWS, Precision::F16)
}
