//! The JSON of a safetensors header. Every nesting level has a type, so depth is bounded by the
//! types; a key that occurs twice, or that nobody knows, is refused.

use crate::error::{Class, Error, Result, shown};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

const METADATA: &str = "__metadata__";

/// All entries, in file order.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub(super) metadata: Vec<(String, String)>,
    pub(super) tensors: Vec<Entry>,
}

/// One tensor as the header describes it; nothing is checked yet.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) dtype: String,
    pub(super) shape: Vec<u64>,
    pub(super) data_offsets: [u64; 2],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// Reads the JSON; spaces may follow the object.
pub(super) fn parse(json: &[u8]) -> Result<Header> {
    serde_json::from_slice(json).map_err(|e| {
        let text = e.to_string();
        match text.strip_prefix(TWICE) {
            Some(rest) => Error::refused(Class::DuplicateKey, "header", rest.trim_start()),
            None => Error::refused(Class::BadJson, "header", shown(text)),
        }
    })
}

/// Marks the one error of ours that has a class of its own.
const TWICE: &str = "twice:";

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Header, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut header = Header::default();
        let mut seen = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            once(&mut seen, &name)?;
            if name == METADATA {
                header.metadata = map.next_value::<Pairs>()?.0;
                continue;
            }
            let Fields { dtype, shape, data_offsets } = map.next_value()?;
            header.tensors.push(Entry { name, dtype, shape, data_offsets });
        }
        Ok(header)
    }
}

struct Pairs(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pairs, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
        let mut pairs = Vec::new();
        let mut seen = HashSet::new();
        while let Some((key, value)) = map.next_entry::<String, String>()? {
            once(&mut seen, &key)?;
            pairs.push((key, value));
        }
        Ok(Pairs(pairs))
    }
}

fn once<E: de::Error>(seen: &mut HashSet<String>, key: &str) -> Result<(), E> {
    match seen.insert(key.to_owned()) {
        true => Ok(()),
        false => Err(E::custom(format_args!("{TWICE} key {}", shown(key)))),
    }
}
