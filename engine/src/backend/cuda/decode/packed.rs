//! A model's weights in the order in which the decode kernels read them: a matrix at a time takes
//! the place of what was uploaded, so that there is one copy, and at most gate and up of one layer
//! twice; the head, which is larger, is packed where it is. The values are the file's, and the
//! composed verbs read them too.

use super::shape::Shape;
use crate::adapters::weights::{FeedForwardWeights, LayerWeights, Linear, Qkv};
use crate::adapters::{Architecture, Weights};
use crate::backend::cuda::layout::Layout;
use crate::backend::cuda::memory::{Buffer, Owner};
use crate::backend::cuda::ops::Ops;
use crate::backend::cuda::stream::Stream;
use crate::backend::cuda::tensor::Tensor;
use crate::error::{Error, Result};
use std::sync::Arc;

/// A model's weights, packed if it has a fused step.
pub(in crate::backend::cuda) fn packed(
    ops: &Ops,
    stream: &Stream,
    architecture: &Architecture,
    weights: Weights<Tensor>,
) -> Result<Weights<Tensor>> {
    match Shape::of(stream.context().device(), architecture, &weights) {
        Some(shape) => Packer { ops, stream, shape }.all(weights),
        None => Ok(weights),
    }
}

/// Whether they are. A whole model is packed, or nothing of it.
pub(super) fn is_packed(weights: &Weights<Tensor>) -> bool {
    let head = weights.output.as_ref();
    head.is_some_and(|head| head.weight.layout != Layout::File)
}

struct Packer<'p> {
    ops: &'p Ops,
    stream: &'p Stream,
    shape: Shape,
}

fn missing(what: &str) -> Error {
    Error::kernel("repack", format!("no {what}"))
}

impl Packer<'_> {
    fn all(&self, weights: Weights<Tensor>) -> Result<Weights<Tensor>> {
        let Weights { layers, output, .. } = weights;
        let layers = layers.into_iter().map(|layer| self.layer(layer)).collect::<Result<_>>()?;
        let output = output.ok_or_else(|| missing("head"))?;
        let output = Some(self.items(output, 8, self.shape.steps().embd)?);
        Ok(Weights { layers, output, ..weights })
    }

    fn layer(&self, layer: LayerWeights<Tensor>) -> Result<LayerWeights<Tensor>> {
        let Qkv::Split { q, k, v } = layer.qkv else { return Err(missing("split projections")) };
        let steps = self.shape.steps();
        let qkv = self.projections([q, k, v], steps.embd)?;
        let attn_out = self.items(layer.attn_out, 4, steps.attn)?;
        let FeedForwardWeights { router, gate, up, down } = layer.feed_forward;
        let (gate, up) = self.pairs(gate.ok_or_else(|| missing("gate"))?, up)?;
        let down = self.units(down, steps.ff)?;
        let feed_forward = FeedForwardWeights { router, gate: Some(gate), up, down };
        Ok(LayerWeights { qkv, attn_out, feed_forward, ..layer })
    }

    fn pairs(
        &self,
        gate: Linear<Tensor>,
        up: Linear<Tensor>,
    ) -> Result<(Linear<Tensor>, Linear<Tensor>)> {
        let [first, second] = self.ops.repack.pairs(self.stream, &gate.weight, &up.weight)?;
        let gate = Linear { weight: first, bias: gate.bias };
        Ok((gate, Linear { weight: second, bias: up.bias }))
    }

    fn units(&self, from: Linear<Tensor>, steps: usize) -> Result<Linear<Tensor>> {
        let layout = Layout::Units { steps, outputs: self.shape.embd };
        let weight = self.ops.repack.units(self.stream, &from.weight, layout)?;
        Ok(Linear { weight, bias: from.bias })
    }

    fn items(&self, from: Linear<Tensor>, rows: usize, steps: usize) -> Result<Linear<Tensor>> {
        let layout = Layout::Items { rows, steps, turned: false };
        let weight = self.ops.repack.in_place(self.stream, &from.weight, layout)?;
        Ok(Linear { weight, bias: from.bias })
    }

    /// Query, key and value one behind the other, and their biases too.
    fn projections(&self, from: [Linear<Tensor>; 3], steps: usize) -> Result<Qkv<Tensor>> {
        let layout = Layout::Items { rows: 8, steps, turned: true };
        let matrices = from.each_ref().map(|linear| &linear.weight);
        let [q, k, v] = self.ops.repack.items(self.stream, matrices, layout)?;
        let mut biases = Vec::new();
        for linear in &from {
            biases.push(linear.bias.as_ref().ok_or_else(|| missing("bias"))?);
        }
        let bytes = biases.iter().map(|bias| bias.bytes()).sum();
        let context = self.stream.context();
        let to = Arc::new(Buffer::new(context, Owner::Weights, "biases of heads", bytes)?);
        let mut at = 0;
        let mut joined = Vec::new();
        for bias in biases {
            self.stream.copy(bias.buffer(), 0, &to, at, bias.bytes())?;
            joined.push(bias.moved(&to, at as u64, Layout::File));
            at += bias.bytes();
        }
        let mut joined = joined.into_iter();
        let mut with = |weight| Linear { weight, bias: joined.next() };
        Ok(Qkv::Split { q: with(q), k: with(k), v: with(v) })
    }
}
