//! The tokenizer's files of a folder as keys: tokenizer.json, tokenizer.model (SentencePiece),
//! tokenizer_config.json and the chat template. Knows which file says what.

use super::config::{Config, read_file};
use crate::error::{Class, Error, Result};
use crate::loader::gguf::Value;
use crate::tokenizer::{JsonFile, ModelSays, Options, SpmFile, spm_keys, vocabulary_keys};
use serde_json::Value as Json;
use std::path::Path;

/// Larger than any real tokenizer.json by a factor of eight.
const FILE_BYTES_MAX: u64 = 256 << 20;

fn opt_file(folder: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    let path = folder.join(name);
    path.exists().then(|| read_file(&path, FILE_BYTES_MAX)).transpose()
}

/// All keys of the vocabulary.
pub(super) fn keys(folder: &Path, config: &Config) -> Result<Vec<(String, Value)>> {
    let json = opt_file(folder, "tokenizer.json")?;
    let words = opt_file(folder, "tokenizer_config.json")?;
    let spm = opt_file(folder, "tokenizer.model")?;
    let spm = spm.as_deref().map(SpmFile::read).transpose()?;
    let mut special = Vec::new();
    for (job, key) in [("bos", "bos_token_id"), ("eos", "eos_token_id")] {
        if let Some(id) = config.first_id(key)? {
            special.push((job, id));
        }
    }
    let rows = Some(config.count("vocab_size")? as usize);
    let options = Options { model: ModelSays { rows, special }, ..Options::default() };
    let mut keys = match (&json, &spm) {
        (Some(json), spm) => {
            let file = JsonFile { json, config: words.as_deref(), foreign: false };
            vocabulary_keys(file, spm.as_ref(), &options)?
        }
        (None, Some(spm)) => spm_keys(spm, &options)?,
        (None, None) => {
            let path = folder.join("tokenizer.json");
            let absent = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(Error::io("open", path, absent));
        }
    };
    if let Some(template) = template(folder, words.as_deref())? {
        keys.push(("tokenizer.chat_template".into(), template.into()));
    }
    Ok(keys)
}

/// The template has a file of its own, or stands in tokenizer_config.json: alone, or as the one
/// named "default" of several.
fn template(folder: &Path, words: Option<&[u8]>) -> Result<Option<String>> {
    if let Some(bytes) = opt_file(folder, "chat_template.jinja")? {
        let text = String::from_utf8(bytes).map_err(|e| {
            Error::refused(Class::InvalidUtf8, "chat_template.jinja", e.utf8_error().to_string())
        })?;
        return Ok(Some(text));
    }
    let Some(words) = words else { return Ok(None) };
    let words: Json = serde_json::from_slice(words)
        .map_err(|e| Error::refused(Class::BadJson, "tokenizer_config.json", e.to_string()))?;
    let found = &words["chat_template"];
    let named = found.as_array().and_then(|all| all.iter().find(|one| one["name"] == "default"));
    let text = named.map_or(found, |named| &named["template"]);
    Ok(text.as_str().map(str::to_owned))
}
