//! Finds tensors by name and proves their shape and type. Every tensor of a file must be asked for
//! in the end: one that nobody wants belongs to a model that is not this one. Knows no family.

use super::architecture::{Architecture, FeedForward, Gate, Layer, NormKind};
use super::weights::{FeedForwardWeights, LayerWeights, Linear, NormWeights, Qkv, Weights};
use crate::error::{Class, Error, Result, shown};
use crate::loader::{Gguf, TensorView};

/// Tensors that hold hyperparameters: what divides the frequencies of a rotation.
pub(crate) const FACTORS: [&str; 3] =
    ["rope_freqs.weight", "rope_factors_short.weight", "rope_factors_long.weight"];

/// Hands out the tensors of a file.
pub(crate) struct Binder<'g> {
    file: &'g Gguf,
    used: Vec<bool>,
}

impl<'g> Binder<'g> {
    pub(crate) fn new(file: &'g Gguf) -> Self {
        Binder { file, used: vec![false; file.tensors().len()] }
    }

    /// The tensor `name`, which must have exactly the dimensions `wanted` and be decodable.
    pub(crate) fn take(&mut self, name: &str, wanted: &[usize]) -> Result<TensorView<'g>> {
        let refuse = |class, detail: String| {
            Err(Error::refused(class, format!("tensor {}", shown(name)), detail))
        };
        let Some(at) = self.file.layout().position(name) else {
            return refuse(Class::MissingTensor, format!("wanted with shape {wanted:?}"));
        };
        let info = &self.file.tensors()[at];
        if info.format.scalar.is_none() {
            return refuse(Class::BadTensorType, format!("{} cannot be decoded", info.format.name));
        }
        if info.shape.len() > wanted.len() {
            let detail = format!("shape {}, wanted {} dimensions", info.shape, wanted.len());
            return refuse(Class::ExtraDim, detail);
        }
        // ggml leaves trailing dimensions of one away.
        let dims = info.shape.iter().copied().chain(std::iter::repeat(1));
        if !dims.zip(wanted).all(|(found, wanted)| found == *wanted as u64) {
            return refuse(
                Class::ShapeMismatch,
                format!("shape {}, wanted {wanted:?}", info.shape),
            );
        }
        self.used[at] = true;
        Ok(self.file.view(info))
    }

    /// `NAME.weight` with shape `[inputs, outputs]` and, if told so, `NAME.bias`.
    pub(crate) fn linear(
        &mut self,
        name: &str,
        inputs: usize,
        outputs: usize,
        bias: bool,
    ) -> Result<Linear<TensorView<'g>>> {
        self.linears(name, &[inputs, outputs], bias)
    }

    /// The same for `count` experts.
    pub(crate) fn experts(
        &mut self,
        name: &str,
        inputs: usize,
        outputs: usize,
        count: usize,
        bias: bool,
    ) -> Result<Linear<TensorView<'g>>> {
        self.linears(name, &[inputs, outputs, count], bias)
    }

    fn linears(
        &mut self,
        name: &str,
        dims: &[usize],
        bias: bool,
    ) -> Result<Linear<TensorView<'g>>> {
        let weight = self.take(&format!("{name}.weight"), dims)?;
        let bias = bias.then(|| self.take(&format!("{name}.bias"), &dims[1..])).transpose()?;
        Ok(Linear { weight, bias })
    }

    /// `NAME.weight` and, if told so, `NAME.bias`, of one row each.
    pub(crate) fn norm(
        &mut self,
        name: &str,
        width: usize,
        bias: bool,
    ) -> Result<NormWeights<TensorView<'g>>> {
        let weight = self.take(&format!("{name}.weight"), &[width])?;
        let bias = bias.then(|| self.take(&format!("{name}.bias"), &[width])).transpose()?;
        Ok(NormWeights { weight, bias })
    }

    /// Says that a tensor was read while describing the model, if it is there.
    pub(crate) fn described(&mut self, name: &str) {
        if let Some(at) = self.file.layout().position(name) {
            self.used[at] = true;
        }
    }

    /// Refuses a file with tensors that nobody asked for.
    pub(crate) fn finish(self) -> Result<()> {
        let left: Vec<_> =
            self.file.tensors().iter().zip(&self.used).filter(|(_, used)| !**used).collect();
        match left.first() {
            None => Ok(()),
            Some((info, _)) => {
                let others = match left.len() - 1 {
                    0 => String::new(),
                    n => format!(", and {n} more"),
                };
                let detail = format!("no part of this architecture{others}");
                Err(Error::refused(Class::ExtraTensor, info.place(), detail))
            }
        }
    }
}

/// Binds a model whose tensors bear llama.cpp's usual names. `ffn_norm` is the one name that
/// families do not share.
pub(crate) fn usual<'g>(
    file: &'g Gguf,
    arch: &Architecture,
    ffn_norm: &str,
) -> Result<Weights<TensorView<'g>>> {
    let mut binder = Binder::new(file);
    let bias = arch.norm.kind == NormKind::Layer;
    let (n_embd, n_vocab) = (arch.n_embd, arch.n_vocab);
    let token_embd = binder.take("token_embd.weight", &[n_embd, n_vocab])?;
    let position_embd = match arch.learned_positions {
        true => Some(binder.take("position_embd.weight", &[n_embd, arch.n_ctx])?),
        false => None,
    };
    let mut layers = Vec::with_capacity(arch.layers.len());
    for (index, layer) in arch.layers.iter().enumerate() {
        layers.push(block(&mut binder, arch, layer, index, ffn_norm)?);
    }
    let output_norm = binder.norm("output_norm", n_embd, bias)?;
    let output = match arch.tied_output {
        true => None,
        false => Some(binder.linear("output", n_embd, n_vocab, false)?),
    };
    FACTORS.iter().for_each(|name| binder.described(name));
    binder.finish()?;
    Ok(Weights { token_embd, position_embd, layers, output_norm, output })
}

fn block<'g>(
    binder: &mut Binder<'g>,
    arch: &Architecture,
    layer: &Layer,
    index: usize,
    ffn_norm: &str,
) -> Result<LayerWeights<TensorView<'g>>> {
    let bias = arch.norm.kind == NormKind::Layer;
    let name = |part: &str| format!("blk.{index}.{part}");
    let n_embd = arch.n_embd;
    let attention = &layer.attention;
    let (q, kv) = (attention.q_width(), attention.kv_width());
    let attn_norm = binder.norm(&name("attn_norm"), n_embd, bias)?;
    let qkv = match attention.fused_qkv {
        true => {
            let width = q + 2 * kv;
            Qkv::Fused(binder.linear(&name("attn_qkv"), n_embd, width, attention.qkv_bias)?)
        }
        false => Qkv::Split {
            q: binder.linear(&name("attn_q"), n_embd, q, attention.qkv_bias)?,
            k: binder.linear(&name("attn_k"), n_embd, kv, attention.qkv_bias)?,
            v: binder.linear(&name("attn_v"), n_embd, kv, attention.qkv_bias)?,
        },
    };
    let attn_out = binder.linear(&name("attn_output"), q, n_embd, attention.out_bias)?;
    let sinks = match attention.sinks {
        true => Some(binder.take(&name("attn_sinks.weight"), &[attention.heads])?),
        false => None,
    };
    let ffn_norm = binder.norm(&name(ffn_norm), n_embd, bias)?;
    let feed_forward = feed_forward(binder, n_embd, &layer.feed_forward, index)?;
    Ok(LayerWeights { attn_norm, qkv, attn_out, sinks, ffn_norm, feed_forward })
}

fn feed_forward<'g>(
    binder: &mut Binder<'g>,
    n_embd: usize,
    ffn: &FeedForward,
    index: usize,
) -> Result<FeedForwardWeights<TensorView<'g>>> {
    let router = match ffn.experts {
        Some(experts) => {
            let name = format!("blk.{index}.ffn_gate_inp");
            Some(binder.linear(&name, n_embd, experts.count, experts.router_bias)?)
        }
        None => None,
    };
    let mut part = |part: &str, inputs, outputs| match ffn.experts {
        Some(experts) => {
            let name = format!("blk.{index}.{part}_exps");
            binder.experts(&name, inputs, outputs, experts.count, ffn.bias)
        }
        None => binder.linear(&format!("blk.{index}.{part}"), inputs, outputs, ffn.bias),
    };
    let gate = match ffn.gate {
        Gate::Split => Some(part("ffn_gate", n_embd, ffn.n_ff)?),
        Gate::None | Gate::Fused => None,
    };
    let halves = if ffn.gate == Gate::Fused { 2 } else { 1 };
    let up = part("ffn_up", n_embd, halves * ffn.n_ff)?;
    let down = part("ffn_down", ffn.n_ff, n_embd)?;
    Ok(FeedForwardWeights { router, gate, up, down })
}
