//! What `inspect` says of running a model: whether it can be, and how much memory that takes.

use super::human;
use crate::batch::ROWS;
use crate::error::Result;
use crate::loader::{Container, Gguf};
use crate::memory::{self, CacheBytes};
use crate::model;
use crate::profile::Profile;

/// Bytes that a model takes. Keys and values are of one sequence, in f16.
#[derive(Debug, serde::Serialize)]
pub(super) struct Needs {
    weights: u64,
    kv_per_position: u64,
    kv_windowed: u64,
    context: usize,
    kv: u64,
    rows: usize,
    activations: u64,
    /// Layers that keep every position, and layers that keep a window.
    #[serde(skip)]
    layers: (usize, usize),
    #[serde(skip)]
    family: &'static str,
}

/// Nothing for what is no model: safetensors, or a vocabulary alone.
pub(super) fn of(container: &Container) -> Option<Result<Needs>> {
    match container {
        Container::Gguf(file) if !file.tensors().is_empty() => Some(Needs::of(file)),
        _ => None,
    }
}

impl Needs {
    fn of(file: &Gguf) -> Result<Needs> {
        let architecture = model::describe(file, Profile::Reference)?.architecture;
        let plan = memory::usual_plan(&architecture);
        let cache = CacheBytes::of(&architecture, &plan);
        Ok(Needs {
            weights: file.tensors().iter().map(|info| info.bytes).sum(),
            kv_per_position: cache.whole.1,
            kv_windowed: cache.windowed.1,
            context: plan.context,
            kv: plan.bytes(),
            rows: ROWS,
            activations: memory::activations(&architecture, ROWS, 1),
            layers: (cache.whole.0, cache.windowed.0),
            family: architecture.family,
        })
    }
}

fn layers(count: usize) -> String {
    format!("{count} layer{}", if count == 1 { "" } else { "s" })
}

/// One line a fact.
pub(super) fn facts(needs: &Result<Needs>) -> Vec<(&'static str, String)> {
    let needs = match needs {
        Ok(needs) => needs,
        Err(why) => return vec![("runs", format!("no: {why}"))],
    };
    let mut cache = Vec::new();
    if needs.layers.0 > 0 {
        let bytes = human::bytes(needs.kv_per_position);
        cache.push(format!("{bytes} a position in {}", layers(needs.layers.0)));
    }
    if needs.layers.1 > 0 {
        let bytes = human::bytes(needs.kv_windowed);
        cache.push(format!("{bytes} for the window in {}", layers(needs.layers.1)));
    }
    let weights = human::bytes(needs.weights);
    let (kv, activations) = (human::bytes(needs.kv), human::bytes(needs.activations));
    vec![
        ("runs", format!("yes, as {}", needs.family)),
        // The copy that the CPU backend arranges, if there is memory for it.
        ("weights", format!("{weights}, on the CPU once more in the order it reads them")),
        ("keys and values", format!("{} (f16)", cache.join(", "))),
        ("of a full context", format!("{kv} for {} positions", needs.context)),
        ("activations", format!("{activations} for {} rows at a time", needs.rows)),
    ]
}
