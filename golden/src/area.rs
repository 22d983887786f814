//! The areas of `golden/`: one folder each, recorded by one function. Knows nothing of files.

use crate::{Result, ids, quant, templates, tokenizers};
use std::collections::BTreeMap;

/// What one recording yields. Paths are relative to `golden/`.
pub(crate) struct Recording {
    /// Who answered, built how: the same words for every file of the area.
    pub(crate) provenance: BTreeMap<String, String>,
    /// Authored files that the answers depend on.
    pub(crate) inputs: Vec<String>,
    /// Every file of the area's folder.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

/// One folder under `golden/`, and how it is recorded.
pub(crate) struct Area {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) record: fn() -> Result<Recording>,
}

/// In the order in which they depend on each other.
pub(crate) static AREAS: &[Area] = &[
    Area {
        name: "quant",
        about: "ggml's row dequantisers and reference quantisers, per block format",
        record: quant::record,
    },
    Area {
        name: "tokenizers",
        about: "small vocabularies of six families, trained on our own text (Python)",
        record: tokenizers::record,
    },
    Area {
        name: "ids",
        about: "ids that llama.cpp, tokenizers and SentencePiece give to the prompts (Python)",
        record: ids::record,
    },
    Area {
        name: "templates",
        about: "chat templates rendered by the transformers library (Python)",
        record: templates::record,
    },
];

/// The areas named in `what`, or all of them.
pub(crate) fn chosen(what: &[String]) -> Result<Vec<&'static Area>> {
    if let Some(unknown) = what.iter().find(|name| AREAS.iter().all(|area| area.name != **name)) {
        return Err(format!("no area is named {unknown}; `golden list` shows them").into());
    }
    let wanted = |area: &&Area| what.is_empty() || what.iter().any(|name| name == area.name);
    Ok(AREAS.iter().filter(wanted).collect())
}
