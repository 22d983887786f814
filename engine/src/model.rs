//! A model on a backend: description, weights and the distinct rotations. Loading is where a file
//! becomes something that can run; everything after it is arithmetic. Knows no text.

use crate::adapters::{self, Architecture, Rope, Weights};
use crate::backend::Backend;
use crate::error::Result;
use crate::loader::Gguf;
use crate::profile::Profile;
use std::sync::Arc;

/// What a file says, proven to fit together.
#[derive(Debug, Clone)]
pub struct Description {
    /// What the model is.
    pub architecture: Architecture,
    /// Each weight's place among the file's tensors.
    pub tensors: Weights<usize>,
}

/// Describes a model and finds its tensors, without reading their data.
pub fn describe(file: &Gguf, profile: Profile) -> Result<Description> {
    let adapter = adapters::of(file)?;
    let architecture = adapter.describe(file, profile)?;
    let bound = adapter.bind(file, &architecture)?;
    let position = |view: crate::loader::TensorView<'_>, _| {
        let missing = || {
            crate::error::Error::refused(
                crate::error::Class::MissingTensor,
                view.info.place(),
                "not in the file's own index",
            )
        };
        file.layout().position(&view.info.name).ok_or_else(missing)
    };
    let tensors = bound.map(position, |_| ())?;
    Ok(Description { architecture, tensors })
}

/// A model that a backend can run.
pub struct Model<B: Backend> {
    /// What it is.
    pub architecture: Architecture,
    /// Its weights, as the backend keeps them.
    pub weights: Weights<B::Weight>,
    /// The distinct rotations.
    pub ropes: Vec<Rope>,
    /// Index of each layer's rotation among `ropes`.
    pub rope_of_layer: Vec<Option<usize>>,
}

impl<B: Backend> Model<B> {
    /// Gives all weights to the backend. `progress` hears of each finished block.
    pub fn load(
        backend: &mut B,
        file: &Arc<Gguf>,
        description: Description,
        progress: impl FnMut(usize),
    ) -> Result<Model<B>> {
        let Description { architecture, tensors } = description;
        let upload = |at: usize, role| backend.upload(file, at, role);
        let weights = tensors.map(upload, progress)?;
        let weights = backend.arrange(&architecture, weights)?;
        Ok(Model::new(architecture, weights))
    }

    /// Puts a model together.
    pub fn new(architecture: Architecture, weights: Weights<B::Weight>) -> Model<B> {
        let mut ropes: Vec<Rope> = Vec::new();
        let mut place = |rope: &Rope| {
            let at = ropes.iter().position(|known| known == rope);
            at.unwrap_or_else(|| {
                ropes.push(rope.clone());
                ropes.len() - 1
            })
        };
        let layers = architecture.layers.iter();
        let rope_of_layer =
            layers.map(|layer| layer.attention.rope.as_ref().map(&mut place)).collect();
        Model { architecture, weights, ropes, rope_of_layer }
    }
}
