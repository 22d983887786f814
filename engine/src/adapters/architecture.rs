//! What a model is, as data: every number and every choice that a forward pass depends on. Knows no
//! file, no tensor name and no backend, so a defect can be injected by editing a value.

use super::rope::Rope;

/// A transformer, layer by layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Architecture {
    /// `general.architecture`, for messages.
    pub family: &'static str,
    /// Rows of the embedding; ids are below this.
    pub n_vocab: usize,
    /// Width of the residual stream.
    pub n_embd: usize,
    /// The longest sequence the model was made for.
    pub n_ctx: usize,
    /// Whether positions are looked up in a table of their own and added to the embedding.
    pub learned_positions: bool,
    /// Every norm of the model is of this kind.
    pub norm: Norm,
    /// Whether the embedding is the output matrix too.
    pub tied_output: bool,
    /// From the first to the last.
    pub layers: Vec<Layer>,
}

/// A norm over one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Norm {
    /// What is divided by.
    pub kind: NormKind,
    /// Added to the mean square (or the variance) before the root.
    pub epsilon: f32,
}

/// What a row is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// The root of the mean square.
    Rms,
    /// The mean is taken away first; then the standard deviation; a bias is added.
    Layer,
}

/// One block: attention, then feed-forward, each behind a norm and added to the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// How rows look at each other.
    pub attention: Attention,
    /// What happens to each row alone.
    pub feed_forward: FeedForward,
}

/// How rows look at each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Attention {
    /// Heads of the query.
    pub heads: usize,
    /// Heads of key and value; each serves `heads / kv_heads` query heads in a row.
    pub kv_heads: usize,
    /// Elements of one head.
    pub head_dim: usize,
    /// What a score is multiplied with before the softmax.
    pub scale: f32,
    /// Whether query, key and value are one tensor in the file, in this order.
    pub fused_qkv: bool,
    /// Biases of query, key and value.
    pub qkv_bias: bool,
    /// Bias of the output projection.
    pub out_bias: bool,
    /// Rotation of queries and keys by position.
    pub rope: Option<Rope>,
    /// A row sees the `window` positions that end with its own; without one, all before it.
    pub window: Option<usize>,
    /// A learned score per head that takes part in the softmax and has no value.
    pub sinks: bool,
}

impl Attention {
    /// Elements of all heads of the query.
    pub fn q_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Elements of all heads of the key, and of the value.
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// The first position that a row at `position` sees.
    pub fn first_seen(&self, position: usize) -> usize {
        self.window.map_or(0, |window| (position + 1).saturating_sub(window))
    }
}

/// What happens to each row alone.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedForward {
    /// Width between the two projections, of one expert if there are experts.
    pub n_ff: usize,
    /// What happens there.
    pub activation: Activation,
    /// How gate and up stand in the file; an activation without a gate has `Gate::None`.
    pub gate: Gate,
    /// Biases of its projections, but for the router's.
    pub bias: bool,
    /// Present: this many networks, of which a router picks a few for each row.
    pub experts: Option<Experts>,
}

/// How the gate of a gated activation is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// The activation has one input.
    None,
    /// A tensor of its own.
    Split,
    /// The first half of the rows of `ffn_up`.
    Fused,
}

/// A mixture of experts. The weights are a softmax over the scores of those selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Experts {
    /// How many there are.
    pub count: usize,
    /// How many see a row.
    pub used: usize,
    /// Bias of the router.
    pub router_bias: bool,
}

/// The function between the two projections of a feed-forward network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// `silu(gate) · up`.
    SwiGlu,
    /// gpt-oss: `gate · sigmoid(alpha · gate) · (up + 1)`, with `gate` clamped from above and `up`
    /// on both sides.
    SwiGluOai {
        /// Slope of the sigmoid.
        alpha: f32,
        /// The clamp.
        limit: f32,
    },
    /// The Gaussian error linear unit.
    Gelu(Gelu),
}

/// How the Gaussian error linear unit is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gelu {
    /// With the error function itself.
    Erf,
    /// With its approximation by a hyperbolic tangent.
    Tanh,
    /// The same, from a table over all f16 values, as ggml does on the CPU. Deviation
    /// `gelu-f16-table`.
    TanhF16Table,
}

impl Architecture {
    /// The widest row that any step of a pass makes, in elements.
    pub fn widest(&self) -> usize {
        let layer = |layer: &Layer| {
            let used = layer.feed_forward.experts.map_or(1, |experts| experts.used);
            let attention = layer.attention.q_width() + 2 * layer.attention.kv_width();
            attention.max(2 * used * layer.feed_forward.n_ff)
        };
        self.layers.iter().map(layer).max().unwrap_or(0).max(self.n_embd)
    }
}
