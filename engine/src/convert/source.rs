//! The safetensors of a folder: one file, or the shards that an index lists. Knows files and
//! names, not what a tensor means.

use super::config::read_file;
use super::tensors::Wanted;
use crate::error::{Class, Error, Result, shown};
use crate::loader::SafeTensors;
use crate::loader::safetensors::{Mxfp4, View};
use serde_json::Value as Json;
use std::collections::{BTreeSet, HashMap};
use std::path::{Component, Path};

/// Larger than any real index by a factor of ten.
const INDEX_BYTES_MAX: u64 = 256 << 20;

/// Tensors that old checkpoints hold and that a model computes anyway.
const COMPUTED: [&str; 4] =
    [".rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias", ".position_ids"];

/// All tensors of a folder.
#[derive(Debug)]
pub(super) struct Source {
    files: Vec<SafeTensors>,
    /// Which file holds a tensor.
    places: HashMap<String, usize>,
}

impl Source {
    pub(super) fn open(folder: &Path) -> Result<Source> {
        let index = folder.join("model.safetensors.index.json");
        let names = match index.exists() {
            true => shards(&index)?,
            false => BTreeSet::from(["model.safetensors".to_owned()]),
        };
        let mut source = Source { files: Vec::new(), places: HashMap::new() };
        for name in names {
            let file = SafeTensors::open(&folder.join(name))?;
            for info in file.tensors() {
                if source.places.insert(info.name.clone(), source.files.len()).is_some() {
                    let place = format!("tensor {}", shown(&info.name));
                    return Err(Error::refused(Class::DuplicateName, place, "in two files"));
                }
            }
            source.files.push(file);
        }
        Ok(source)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    pub(super) fn find(&self, name: &str) -> Option<View<'_>> {
        self.files[*self.places.get(name)?].tensor(name)
    }

    /// The pair of codes and scales that together are the tensor `name`.
    pub(super) fn mxfp4(&self, name: &str) -> Result<Option<Mxfp4<'_>>> {
        let Some(at) = self.places.get(&format!("{name}_blocks")) else { return Ok(None) };
        Ok(self.files[*at].mxfp4()?.into_iter().find(|pair| pair.name == name))
    }

    /// Refuses a folder with a tensor that no part of the model is made of.
    pub(super) fn refuse_surplus(&self, wanted: &[Wanted]) -> Result<()> {
        let used: BTreeSet<&str> = wanted.iter().filter_map(Wanted::source_name).collect();
        let base = |name: &str| {
            let pair = name.strip_suffix("_blocks").or(name.strip_suffix("_scales"));
            pair.is_some_and(|base| used.contains(base))
        };
        let mut left: Vec<&String> = self.places.keys().collect();
        left.retain(|name| {
            let computed = COMPUTED.iter().any(|end| name.ends_with(end));
            !(used.contains(name.as_str()) || base(name) || computed)
        });
        left.sort();
        // A tied head may be stored twice.
        left.retain(|name| *name != "lm_head.weight");
        let Some(first) = left.first() else { return Ok(()) };
        let others = match left.len() - 1 {
            0 => String::new(),
            n => format!(", and {n} more"),
        };
        let detail = format!("no part of this architecture{others}");
        Err(Error::refused(Class::ExtraTensor, format!("tensor {}", shown(first)), detail))
    }

    pub(super) fn verify_unchanged(&self) -> Result<()> {
        self.files.iter().try_for_each(SafeTensors::verify_unchanged)
    }
}

/// The files that an index names; all must lie in the folder itself.
fn shards(index: &Path) -> Result<BTreeSet<String>> {
    let place = "model.safetensors.index.json";
    let refuse = |class, detail: String| Err(Error::refused(class, place, detail));
    let json: Json = serde_json::from_slice(&read_file(index, INDEX_BYTES_MAX)?)
        .map_err(|e| Error::refused(Class::BadJson, place, e.to_string()))?;
    let Some(map) = json["weight_map"].as_object() else {
        return refuse(Class::BadJson, "no object \"weight_map\"".into());
    };
    let mut names = BTreeSet::new();
    for file in map.values() {
        let name = file.as_str().unwrap_or_default();
        let mut parts = Path::new(name).components();
        let plain = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
        if !plain {
            return refuse(Class::BadSplit, format!("{} is no file of this folder", shown(name)));
        }
        names.insert(name.to_owned());
    }
    match names.is_empty() {
        true => refuse(Class::BadSplit, "it lists no tensor".into()),
        false => Ok(names),
    }
}
