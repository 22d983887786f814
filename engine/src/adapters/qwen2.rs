//! Qwen2 and Qwen2.5: Llama with biases at query, key and value, and the other order of rotation.

use super::rope::Style;
use super::{Architecture, InferenceAdapter, llama};
use crate::error::Result;
use crate::loader::Gguf;
use crate::profile::Profile;

pub(super) struct Qwen2;

impl InferenceAdapter for Qwen2 {
    fn family(&self) -> &'static str {
        "qwen2"
    }

    fn describe(&self, file: &Gguf, profile: Profile) -> Result<Architecture> {
        let mut architecture = llama::describe(file, profile, self.family(), Style::Neox)?;
        for layer in &mut architecture.layers {
            layer.attention.qkv_bias = true;
        }
        Ok(architecture)
    }
}
