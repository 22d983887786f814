//! Phi-3 and Phi-3.5: fused projections, a window on every layer, and LongRoPE, which turns short
//! and long sequences with different factors.

use super::hparams::Hparams;
use super::rope::{Factors, Style};
use super::{Activation, Architecture, Attention, FeedForward, Gate, InferenceAdapter, Layer};
use crate::error::Result;
use crate::loader::Gguf;
use crate::profile::Profile;

pub(super) struct Phi3;

impl InferenceAdapter for Phi3 {
    fn family(&self) -> &'static str {
        "phi3"
    }

    fn describe(&self, file: &Gguf, profile: Profile) -> Result<Architecture> {
        let hparams = Hparams::new(file.metadata(), self.family());
        let sizes = hparams.sizes(file)?;
        let mut rope = hparams.rope(Style::Neox, sizes.head_dim, profile)?;
        let pairs = rope.pairs();
        let short = hparams.factors(file, "rope_factors_short.weight", pairs)?;
        let long = hparams.factors(file, "rope_factors_long.weight", pairs)?;
        if let (Some(short), Some(long)) = (short, long) {
            let original = hparams.count(ORIGINAL, 1..=u32::MAX)? as u32;
            rope.factors = Factors::ByLength { original, short, long };
        }
        let window = hparams.opt_count("attention.sliding_window", 0..=u32::MAX)?;
        // llama.cpp reads the key and does not act on it. Deviation `phi3-window-off`.
        let window = window.filter(|window| *window > 0 && profile == Profile::Reference);
        let n_ff = hparams.n_ff(sizes.n_layers, false)?;
        let layer = |index: usize| Layer {
            attention: Attention {
                fused_qkv: file.tensor(&format!("blk.{index}.attn_qkv.weight")).is_some(),
                rope: Some(rope.clone()),
                window,
                ..sizes.attention(index)
            },
            feed_forward: FeedForward {
                n_ff: n_ff[index],
                activation: Activation::SwiGlu,
                gate: Gate::Fused,
                bias: false,
                experts: None,
            },
        };
        Ok(Architecture {
            tied_output: file.tensor("output.weight").is_none(),
            ..sizes.architecture(self.family(), hparams.rms_norm()?, layer)
        })
    }
}

/// Positions the model was first trained on.
const ORIGINAL: &str = "rope.scaling.original_context_length";
