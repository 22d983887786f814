//! Llama 2 and 3, and what is written in the same form: RMS norms, grouped heads, SwiGLU; biases
//! and experts where the file has them.

use super::Layer;
use super::hparams::Hparams;
use super::rope::{Factors, Style};
use super::{Activation, Architecture, Attention, Experts, FeedForward, Gate, InferenceAdapter};
use crate::error::Result;
use crate::loader::Gguf;
use crate::profile::Profile;

pub(super) struct Llama;

impl InferenceAdapter for Llama {
    fn family(&self) -> &'static str {
        "llama"
    }

    fn describe(&self, file: &Gguf, profile: Profile) -> Result<Architecture> {
        describe(file, profile, self.family(), Style::Normal)
    }
}

/// What Llama and Qwen2 have in common.
pub(super) fn describe(
    file: &Gguf,
    profile: Profile,
    family: &'static str,
    style: Style,
) -> Result<Architecture> {
    let hparams = Hparams::new(file.metadata(), family);
    let sizes = hparams.sizes(file)?;
    let mut rope = hparams.rope(style, sizes.head_dim, profile)?;
    if let Some(factors) = hparams.factors(file, "rope_freqs.weight", rope.pairs())? {
        rope.factors = Factors::Fixed(factors);
    }
    let has = |name: &str| file.tensor(name).is_some();
    let router_bias = has("blk.0.ffn_gate_inp.bias");
    let experts = hparams.experts()?;
    let experts = experts.map(|(count, used)| Experts { count, used, router_bias });
    let n_ff = hparams.n_ff(sizes.n_layers, experts.is_some())?;
    let layer = |index: usize| Layer {
        attention: Attention {
            qkv_bias: has(&format!("blk.{index}.attn_q.bias")),
            out_bias: has(&format!("blk.{index}.attn_output.bias")),
            rope: Some(rope.clone()),
            ..sizes.attention(index)
        },
        feed_forward: FeedForward {
            n_ff: n_ff[index],
            activation: Activation::SwiGlu,
            gate: Gate::Split,
            bias: has(&format!("blk.{index}.ffn_up.bias")),
            experts,
        },
    };
    Ok(Architecture {
        tied_output: !has("output.weight"),
        ..sizes.architecture(family, hparams.rms_norm()?, layer)
    })
}
