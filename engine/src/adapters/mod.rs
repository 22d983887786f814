//! Model families. An adapter turns a file's metadata into an [`Architecture`] and finds its
//! tensors; what is computed with them stands in `forward`, once for all families.

pub mod architecture;
mod bind;
mod gpt2;
mod gpt_oss;
mod hparams;
mod llama;
mod phi3;
mod qwen2;
pub mod rope;
pub mod weights;

pub use architecture::{Activation, Architecture, Attention, Experts, FeedForward, Gate, Gelu};
pub use architecture::{Layer, Norm, NormKind};
pub use rope::Rope;
pub use weights::{Role, Weights};

use crate::error::{Class, Error, Result, shown};
use crate::loader::{Gguf, TensorView};
use crate::profile::Profile;

/// What is particular about a family.
pub trait InferenceAdapter: Sync {
    /// `general.architecture` of its files.
    fn family(&self) -> &'static str;

    /// What the file says the model is.
    fn describe(&self, file: &Gguf, profile: Profile) -> Result<Architecture>;

    /// The tensors, each with the shape that the description asks for.
    fn bind<'g>(
        &self,
        file: &'g Gguf,
        architecture: &Architecture,
    ) -> Result<Weights<TensorView<'g>>> {
        bind::usual(file, architecture, "ffn_norm")
    }
}

/// All families, by name.
pub static ADAPTERS: &[&dyn InferenceAdapter] =
    &[&gpt2::Gpt2, &gpt_oss::GptOss, &llama::Llama, &phi3::Phi3, &qwen2::Qwen2];

/// The adapter for a file.
pub fn of(file: &Gguf) -> Result<&'static dyn InferenceAdapter> {
    let name = file.metadata().str("general.architecture")?;
    ADAPTERS.iter().copied().find(|adapter| adapter.family() == name).ok_or_else(|| {
        let known: Vec<_> = ADAPTERS.iter().map(|adapter| adapter.family()).collect();
        let detail = format!("{}; these are run: {}", shown(name), known.join(", "));
        Error::refused(Class::UnknownArch, "key \"general.architecture\"", detail)
    })
}
