//! The areas of `golden/`: one folder each, recorded by one function. Knows nothing of files.

use crate::{Result, ids, model, quant, templates, tokenizers};
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

impl Recording {
    /// The same files under `folder`.
    pub(crate) fn moved_into(&mut self, folder: &str) {
        let files = std::mem::take(&mut self.files).into_iter();
        self.files = files.map(|(file, bytes)| (format!("{folder}/{file}"), bytes)).collect();
    }
}

type Record = Box<dyn Fn() -> Result<Recording>>;

/// One folder under `golden/`, and how it is recorded.
pub(crate) struct Area {
    /// The folder's path under `golden/`.
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) record: Record,
}

impl Area {
    pub(crate) fn new(
        name: impl Into<String>,
        about: impl Into<String>,
        record: impl Fn() -> Result<Recording> + 'static,
    ) -> Self {
        Self { name: name.into(), about: about.into(), record: Box::new(record) }
    }
}

/// In the order in which they depend on each other.
pub(crate) fn all() -> Result<Vec<Area>> {
    let mut areas = vec![
        Area::new(
            "quant",
            "ggml's row dequantisers and reference quantisers, per block format",
            quant::record,
        ),
        Area::new(
            "tokenizers",
            "small vocabularies of six families, trained on our own text (Python)",
            tokenizers::record,
        ),
        Area::new(
            "ids",
            "ids that llama.cpp, tokenizers and SentencePiece give to the prompts (Python)",
            ids::record,
        ),
        Area::new(
            "templates",
            "chat templates rendered by the transformers library (Python)",
            templates::record,
        ),
    ];
    areas.extend(model::areas()?);
    Ok(areas)
}

/// The areas named in `what`, or in a folder named there; all of them where nothing is named.
pub(crate) fn chosen(what: &[String]) -> Result<Vec<Area>> {
    let areas = all()?;
    let inside = |area: &Area, name: &str| {
        area.name
            .strip_prefix(name.trim_end_matches('/'))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if let Some(unknown) = what.iter().find(|name| areas.iter().all(|area| !inside(area, name))) {
        return Err(format!("no area is named {unknown}; `golden list` shows them").into());
    }
    let wanted = |area: &Area| what.is_empty() || what.iter().any(|name| inside(area, name));
    Ok(areas.into_iter().filter(wanted).collect())
}
