//! GPT-2: layer norms with biases, learned positions, a head of key and value for each of the
//! query, GELU.

use super::hparams::Hparams;
use super::{Activation, Architecture, Attention, FeedForward, Gate, Gelu, InferenceAdapter};
use super::{Layer, Norm, NormKind};
use crate::error::Result;
use crate::loader::Gguf;
use crate::profile::Profile;

pub(super) struct Gpt2;

impl InferenceAdapter for Gpt2 {
    fn family(&self) -> &'static str {
        "gpt2"
    }

    fn describe(&self, file: &Gguf, profile: Profile) -> Result<Architecture> {
        let hparams = Hparams::new(file.metadata(), self.family());
        let sizes = hparams.sizes(file)?;
        let gelu = match profile {
            Profile::Reference => Gelu::Tanh,
            Profile::LlamaCpp => Gelu::TanhF16Table,
        };
        let n_ff = hparams.n_ff(sizes.n_layers, false)?;
        let layer = |index: usize| Layer {
            attention: Attention {
                fused_qkv: true,
                qkv_bias: true,
                out_bias: true,
                ..sizes.attention(index)
            },
            feed_forward: FeedForward {
                n_ff: n_ff[index],
                activation: Activation::Gelu(gelu),
                gate: Gate::None,
                bias: true,
                experts: None,
            },
        };
        let epsilon = hparams.positive("attention.layer_norm_epsilon")?;
        let norm = Norm { kind: NormKind::Layer, epsilon };
        Ok(Architecture {
            learned_positions: true,
            tied_output: file.tensor("output.weight").is_none(),
            ..sizes.architecture(self.family(), norm, layer)
        })
    }
}
