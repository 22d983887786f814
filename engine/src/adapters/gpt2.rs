//! GPT-2: layer norms with biases, learned positions, a head of key and value for each of the
//! query, GELU.

use super::hparams::{Hparams, Sizes};
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
                heads: sizes.heads[index],
                kv_heads: sizes.kv_heads[index],
                head_dim: sizes.head_dim,
                scale: 1.0 / (sizes.head_dim as f32).sqrt(),
                fused_qkv: true,
                qkv_bias: true,
                out_bias: true,
                rope: None,
                window: None,
                sinks: false,
            },
            feed_forward: FeedForward {
                n_ff: n_ff[index],
                activation: Activation::Gelu(gelu),
                gate: Gate::None,
                bias: true,
                experts: None,
            },
        };
        let layers = (0..sizes.n_layers).map(layer).collect();
        let epsilon = hparams.positive("attention.layer_norm_epsilon")?;
        let Sizes { n_vocab, n_embd, n_ctx, .. } = sizes;
        Ok(Architecture {
            family: self.family(),
            n_vocab,
            n_embd,
            n_ctx,
            learned_positions: true,
            norm: Norm { kind: NormKind::Layer, epsilon },
            tied_output: file.tensor("output.weight").is_none(),
            layers,
        })
    }
}
