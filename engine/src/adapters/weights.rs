//! Where each tensor of a model goes. Generic over what a weight is: a view of the file while
//! binding, whatever a backend made of it afterwards. Knows no names.

/// A matrix `[inputs, outputs]` as GGUF orders it, with or without a bias. Of experts: all of them,
/// one after the other.
#[derive(Debug, Clone)]
pub struct Linear<W> {
    /// The matrix.
    pub weight: W,
    /// One number an output.
    pub bias: Option<W>,
}

/// What a norm multiplies with and adds.
#[derive(Debug, Clone)]
pub struct NormWeights<W> {
    /// Multiplied.
    pub weight: W,
    /// Added; layer norms only.
    pub bias: Option<W>,
}

/// Query, key and value.
#[derive(Debug, Clone)]
pub enum Qkv<W> {
    /// One matrix whose outputs are query, key and value in this order.
    Fused(Linear<W>),
    /// Three matrices.
    Split {
        /// Query.
        q: Linear<W>,
        /// Key.
        k: Linear<W>,
        /// Value.
        v: Linear<W>,
    },
}

/// Feed-forward matrices; with experts, each holds all of them.
#[derive(Debug, Clone)]
pub struct FeedForwardWeights<W> {
    /// Scores experts; present exactly if there are any.
    pub router: Option<Linear<W>>,
    /// Present exactly for [`Gate::Split`].
    pub gate: Option<Linear<W>>,
    /// With [`Gate::Fused`], gate and up one after the other.
    pub up: Linear<W>,
    /// Back to the width of the stream.
    pub down: Linear<W>,
}

/// One block.
#[derive(Debug, Clone)]
pub struct LayerWeights<W> {
    /// Before attention.
    pub attn_norm: NormWeights<W>,
    /// Projections to heads.
    pub qkv: Qkv<W>,
    /// Projection from heads.
    pub attn_out: Linear<W>,
    /// One score a head.
    pub sinks: Option<W>,
    /// Before the feed-forward network.
    pub ffn_norm: NormWeights<W>,
    /// The feed-forward network.
    pub feed_forward: FeedForwardWeights<W>,
}

/// A whole model.
#[derive(Debug, Clone)]
pub struct Weights<W> {
    /// One row a token.
    pub token_embd: W,
    /// One row a position.
    pub position_embd: Option<W>,
    /// From the first to the last.
    pub layers: Vec<LayerWeights<W>>,
    /// After the last block.
    pub output_norm: NormWeights<W>,
    /// To the vocabulary; absent if the embedding is used again.
    pub output: Option<Linear<W>>,
}

/// What a weight is used for, which decides how a backend lays it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Rows are looked up by token or position.
    Table,
    /// Rows are looked up by token, and the same matrix makes the logits.
    TiedTable,
    /// A factor or summand per element: norms, biases, sinks.
    Vector,
    /// A matrix that rows are multiplied with.
    Matrix,
    /// The same for each expert.
    ExpertMatrix,
    /// A bias for each expert.
    ExpertBias,
}

impl<W> Linear<W> {
    fn map<U, E>(
        self,
        matrix: Role,
        vector: Role,
        f: &mut impl FnMut(W, Role) -> Result<U, E>,
    ) -> Result<Linear<U>, E> {
        let bias = self.bias.map(|bias| f(bias, vector)).transpose()?;
        Ok(Linear { weight: f(self.weight, matrix)?, bias })
    }
}

impl<W> NormWeights<W> {
    fn map<U, E>(self, f: &mut impl FnMut(W, Role) -> Result<U, E>) -> Result<NormWeights<U>, E> {
        let bias = self.bias.map(|bias| f(bias, Role::Vector)).transpose()?;
        Ok(NormWeights { weight: f(self.weight, Role::Vector)?, bias })
    }
}

impl<W> LayerWeights<W> {
    /// Turns every weight into something else.
    pub fn map<U, E>(
        self,
        f: &mut impl FnMut(W, Role) -> Result<U, E>,
    ) -> Result<LayerWeights<U>, E> {
        let qkv = match self.qkv {
            Qkv::Fused(fused) => Qkv::Fused(fused.map(Role::Matrix, Role::Vector, f)?),
            Qkv::Split { q, k, v } => Qkv::Split {
                q: q.map(Role::Matrix, Role::Vector, f)?,
                k: k.map(Role::Matrix, Role::Vector, f)?,
                v: v.map(Role::Matrix, Role::Vector, f)?,
            },
        };
        Ok(LayerWeights {
            attn_norm: self.attn_norm.map(f)?,
            qkv,
            attn_out: self.attn_out.map(Role::Matrix, Role::Vector, f)?,
            sinks: self.sinks.map(|sinks| f(sinks, Role::Vector)).transpose()?,
            ffn_norm: self.ffn_norm.map(f)?,
            feed_forward: self.feed_forward.map(f)?,
        })
    }
}

impl<W> FeedForwardWeights<W> {
    fn map<U, E>(
        self,
        f: &mut impl FnMut(W, Role) -> Result<U, E>,
    ) -> Result<FeedForwardWeights<U>, E> {
        let (matrix, vector) = match self.router {
            Some(_) => (Role::ExpertMatrix, Role::ExpertBias),
            None => (Role::Matrix, Role::Vector),
        };
        let mut router = None;
        if let Some(linear) = self.router {
            router = Some(linear.map(Role::Matrix, Role::Vector, f)?);
        }
        let mut gate = None;
        if let Some(linear) = self.gate {
            gate = Some(linear.map(matrix, vector, f)?);
        }
        let up = self.up.map(matrix, vector, f)?;
        let down = self.down.map(matrix, vector, f)?;
        Ok(FeedForwardWeights { router, gate, up, down })
    }
}

impl<W> Weights<W> {
    /// Turns every weight into something else, in the order of a pass; `layer_done` hears of each
    /// finished block.
    pub fn map<U, E>(
        self,
        mut f: impl FnMut(W, Role) -> Result<U, E>,
        mut layer_done: impl FnMut(usize),
    ) -> Result<Weights<U>, E> {
        let table = if self.output.is_some() { Role::Table } else { Role::TiedTable };
        let token_embd = f(self.token_embd, table)?;
        let position_embd = self.position_embd.map(|t| f(t, Role::Table)).transpose()?;
        let mut layers = Vec::with_capacity(self.layers.len());
        for (index, layer) in self.layers.into_iter().enumerate() {
            layers.push(layer.map(&mut f)?);
            layer_done(index);
        }
        let output_norm = self.output_norm.map(&mut f)?;
        let output = match self.output {
            Some(linear) => Some(linear.map(Role::Matrix, Role::Vector, &mut f)?),
            None => None,
        };
        Ok(Weights { token_embd, position_embd, layers, output_norm, output })
    }
}
