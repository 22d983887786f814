//! config.json: numbers and truths by key, or a refusal that names the key. Knows no family.

use crate::error::{Class, Error, Named, Result, shown};
use serde_json::Value as Json;
use std::path::Path;

/// Larger than any real config.json by a factor of a hundred.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// A config.json.
#[derive(Debug)]
pub(super) struct Config {
    json: Json,
}

/// The bytes of a small file that must not be a large one.
pub(super) fn read_file(path: &Path, most: u64) -> Result<Vec<u8>> {
    let size = std::fs::metadata(path).map_err(|e| Error::io("open", path, e))?.len();
    if size > most {
        let detail = format!("{size} bytes; at most {most} are read");
        let place = shown(path.as_os_str().as_encoded_bytes());
        return Err(Error::refused(Class::CountOutOfRange, place, detail));
    }
    std::fs::read(path).map_err(|e| Error::io("read", path, e))
}

fn refused(class: Class, key: &str, detail: impl Into<String>) -> Error {
    Error::refused(class, format!("{} in config.json", Named("key", key)), detail)
}

impl Config {
    pub(super) fn read(path: &Path) -> Result<Config> {
        let bytes = read_file(path, FILE_BYTES_MAX)?;
        let json: Json = serde_json::from_slice(&bytes)
            .map_err(|e| Error::refused(Class::BadJson, "config.json", e.to_string()))?;
        match json.is_object() {
            true => Ok(Config { json }),
            false => Err(Error::refused(Class::BadJson, "config.json", "it is no object")),
        }
    }

    fn find(&self, key: &str) -> Option<&Json> {
        let mut found = &self.json;
        for part in key.split('.') {
            found = found.get(part)?;
        }
        (!found.is_null()).then_some(found)
    }

    /// A string, if it is there. A dot leads into an object.
    pub(super) fn opt_str(&self, key: &str) -> Result<Option<&str>> {
        let Some(found) = self.find(key) else { return Ok(None) };
        let wrong = || refused(Class::WrongType, key, format!("{found} is no string"));
        found.as_str().map(Some).ok_or_else(wrong)
    }

    /// A number of things, if it is there.
    pub(super) fn opt_count(&self, key: &str) -> Result<Option<u32>> {
        let Some(found) = self.find(key) else { return Ok(None) };
        // Some libraries write `4096.0`.
        let whole = found.as_f64().filter(|n| n.fract() == 0.0 && *n >= 0.0);
        let count = whole.filter(|n| *n <= f64::from(u32::MAX)).map(|n| n as u32);
        let wrong = || refused(Class::WrongType, key, format!("{found} is no count of 32 bits"));
        count.map(Some).ok_or_else(wrong)
    }

    /// An id, or the first of several.
    pub(super) fn first_id(&self, key: &str) -> Result<Option<u32>> {
        match self.find(key) {
            Some(Json::Array(all)) => {
                let first = all.first().and_then(Json::as_u64);
                Ok(first.and_then(|id| u32::try_from(id).ok()))
            }
            _ => self.opt_count(key),
        }
    }

    /// A number of things, at least one.
    pub(super) fn count(&self, key: &str) -> Result<u32> {
        match self.opt_count(key)? {
            Some(0) => Err(refused(Class::BadHparam, key, "0, wanted at least 1")),
            Some(count) => Ok(count),
            None => Err(refused(Class::MissingKey, key, "absent")),
        }
    }

    /// A number, if it is there.
    pub(super) fn opt_number(&self, key: &str) -> Result<Option<f64>> {
        let Some(found) = self.find(key) else { return Ok(None) };
        let wrong = || refused(Class::WrongType, key, format!("{found} is no number"));
        found.as_f64().map(Some).ok_or_else(wrong)
    }

    /// A number above zero.
    pub(super) fn positive(&self, key: &str) -> Result<f64> {
        match self.opt_number(key)? {
            Some(number) if number > 0.0 => Ok(number),
            Some(number) => Err(refused(Class::BadHparam, key, format!("{number} is not above 0"))),
            None => Err(refused(Class::MissingKey, key, "absent")),
        }
    }

    /// Whether it says so; absent, no.
    pub(super) fn says(&self, key: &str) -> Result<bool> {
        let Some(found) = self.find(key) else { return Ok(false) };
        let wrong = || refused(Class::WrongType, key, format!("{found} is no truth"));
        found.as_bool().ok_or_else(wrong)
    }

    /// A list of exactly `length` numbers.
    pub(super) fn numbers(&self, key: &str, length: usize) -> Result<Vec<f32>> {
        let Some(found) = self.find(key) else {
            return Err(refused(Class::MissingKey, key, "absent"));
        };
        let all = found.as_array().map(Vec::as_slice).unwrap_or_default();
        let numbers: Vec<f32> = all.iter().filter_map(Json::as_f64).map(|n| n as f32).collect();
        if numbers.len() != length || all.len() != length {
            let detail = format!("{} numbers, wanted {length}", numbers.len());
            return Err(refused(Class::BadHparam, key, detail));
        }
        Ok(numbers)
    }

    /// Where the settings of the rotation stand: libraries moved them. None: there are none.
    fn rope_place(&self) -> Option<&'static str> {
        ["rope_parameters", "rope_scaling"].into_iter().find(|key| self.find(key).is_some())
    }

    /// The key under which a setting of the rotation would stand.
    pub(super) fn rope_key(&self, name: &str) -> String {
        format!("{}.{name}", self.rope_place().unwrap_or("rope_scaling"))
    }

    /// The kind of scaling, in lower case.
    pub(super) fn rope_type(&self) -> Result<Option<String>> {
        let mut found = self.opt_str(&self.rope_key("rope_type"))?;
        if found.is_none() {
            found = self.opt_str(&self.rope_key("type"))?;
        }
        Ok(found.map(str::to_lowercase))
    }

    /// What the frequencies are powers of.
    pub(super) fn rope_theta(&self) -> Result<Option<f64>> {
        match self.opt_number("rope_theta")? {
            None => self.opt_number(&self.rope_key("rope_theta")),
            found => Ok(found),
        }
    }

    /// How many positions the model knew before its context was stretched.
    pub(super) fn original_context(&self) -> Result<u32> {
        let key = self.rope_key("original_max_position_embeddings");
        match self.opt_count(&key)? {
            Some(count) if count > 0 => Ok(count),
            _ => match self.opt_count("original_max_position_embeddings")? {
                Some(count) if count > 0 => Ok(count),
                _ => Err(refused(Class::MissingKey, &key, "absent")),
            },
        }
    }

    pub(super) fn bad(&self, key: &str, detail: impl Into<String>) -> Error {
        refused(Class::BadHparam, key, detail)
    }
}
