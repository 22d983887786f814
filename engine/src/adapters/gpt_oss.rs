//! gpt-oss: a mixture of experts with clamped SwiGLU, attention sinks, a window on every other
//! layer, and YaRN whose borders between fast and slow are not rounded.

use super::hparams::Hparams;
use super::rope::{Scaling, Style};
use super::{Activation, Architecture, Attention, Experts, FeedForward, Gate, InferenceAdapter};
use super::{Layer, Weights, bind};
use crate::error::Result;
use crate::loader::{Gguf, TensorView};
use crate::profile::Profile;

pub(super) struct GptOss;

/// Slope of the sigmoid and the clamp; the file has no keys for them.
const ACTIVATION: Activation = Activation::SwiGluOai { alpha: 1.702, limit: 7.0 };

impl InferenceAdapter for GptOss {
    fn family(&self) -> &'static str {
        "gpt-oss"
    }

    fn describe(&self, file: &Gguf, profile: Profile) -> Result<Architecture> {
        let hparams = Hparams::new(file.metadata(), self.family());
        let sizes = hparams.sizes(file)?;
        let mut rope = hparams.rope(Style::Neox, sizes.head_dim, profile)?;
        if let Scaling::Yarn { rounded, .. } = &mut rope.scaling {
            *rounded = profile == Profile::LlamaCpp;
        }
        let window = hparams.count("attention.sliding_window", 1..=i32::MAX as u32)?;
        let Some((count, used)) = hparams.experts()? else {
            return Err(hparams.bad("expert_count", "absent or 0; this family has experts"));
        };
        let n_ff = hparams.n_ff(sizes.n_layers, true)?;
        let layer = |index: usize| Layer {
            attention: Attention {
                qkv_bias: true,
                out_bias: true,
                rope: Some(rope.clone()),
                window: index.is_multiple_of(2).then_some(window),
                sinks: true,
                ..sizes.attention(index)
            },
            feed_forward: FeedForward {
                n_ff: n_ff[index],
                activation: ACTIVATION,
                gate: Gate::Split,
                bias: true,
                experts: Some(Experts { count, used, router_bias: true }),
            },
        };
        Ok(sizes.architecture(self.family(), hparams.rms_norm()?, layer))
    }

    fn bind<'g>(&self, file: &'g Gguf, arch: &Architecture) -> Result<Weights<TensorView<'g>>> {
        bind::usual(file, arch, "post_attention_norm")
    }
}
