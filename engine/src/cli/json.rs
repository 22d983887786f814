//! `inspect --json`: the stable, machine-readable form of a file's head. JSON cannot spell every
//! value; those it cannot are objects with one key, see [`ABOUT`].

use super::inspect::Understood;
use super::needs::Needs;
use super::out_failed;
use super::rows::rows;
use super::tokens::Described;
use crate::error::Result;
use crate::loader::Container;
use crate::loader::gguf::{Array, Value};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::io::Write;

/// Part of the command's help.
pub(super) const ABOUT: &str = "\
JSON (one line, keys in file order):
  {\"version\",\"alignment\",\"metadata\":{…},\"tensors\":[…],\"tokenizer\":{…},\"memory\":{…}}
  a tensor is {\"name\",\"type\",\"shape\",\"offset\",\"bytes\"}
  shape   as the file has it: GGUF fastest dimension first, safetensors slowest first
  offset  from the start of the data section (of its own part, in split models)
  values that JSON cannot spell keep all their bits:
    {\"u64\":\"18446744073709551615\"}  {\"i64\":\"-9223372036854775808\"}  beyond ±2^53
    {\"f32\":\"0x7fc00000\"}  {\"f64\":\"0x7ff0000000000000\"}  NaN and infinities, as bits
    {\"bytes\":\"ff00\"}  strings that are not UTF-8, in hex
  safetensors has neither version nor alignment: both are null
  the tokenizer is {\"backend\",\"pre\",\"n_vocab\",\"special\":{\"bos\":id,…},\"stops\":[id,…],
    \"add_bos\",\"add_eos\",\"add_space_prefix\"}; {\"error\"} if it is refused; null without one
  the memory is what running takes, in bytes: {\"weights\",\"kv_per_position\",\"kv_windowed\",
    \"context\",\"kv\",\"rows\",\"activations\"}; {\"error\"} if the model cannot be run, null for
    what is no model";

/// Integers up to here survive a reader that keeps every number as f64.
const MAX_EXACT: u64 = 1 << 53;

/// Writes the whole document and a newline.
pub(super) fn write(
    container: &Container,
    found: Understood,
    mut out: &mut dyn Write,
) -> Result<()> {
    let written = serde_json::to_writer(&mut out, &Document { container, found });
    let written = written.map_err(std::io::Error::from).and_then(|()| out.write_all(b"\n"));
    written.map_err(out_failed)
}

struct Document<'a> {
    container: &'a Container,
    found: Understood<'a>,
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(6))?;
        let head = match self.container {
            Container::Gguf(file) => Some((file.version(), file.alignment())),
            Container::SafeTensors(_) => None,
        };
        map.serialize_entry("version", &head.map(|(version, _)| version))?;
        map.serialize_entry("alignment", &head.map(|(_, alignment)| alignment))?;
        map.serialize_entry("metadata", &Metadata(self.container))?;
        map.serialize_entry("tensors", &rows(self.container))?;
        map.serialize_entry("tokenizer", &self.found.tokenizer.map(Described::of))?;
        let needs = self.found.needs.map(|needs| match needs {
            Ok(needs) => Memory::Needs(needs),
            Err(why) => Memory::Refused { error: why.to_string() },
        });
        map.serialize_entry("memory", &needs)?;
        map.end()
    }
}

#[derive(serde::Serialize)]
#[serde(untagged)]
enum Memory<'a> {
    Needs(&'a Needs),
    Refused { error: String },
}

struct Metadata<'a>(&'a Container);

impl Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Container::Gguf(file) => {
                serializer.collect_map(file.metadata().iter().map(|(key, v)| (key, Json(v))))
            }
            Container::SafeTensors(file) => {
                serializer.collect_map(file.layout().metadata.iter().map(|(key, v)| (key, v)))
            }
        }
    }
}

/// A metadata value as JSON.
struct Json<'a>(&'a Value);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::U8(n) => n.serialize(serializer),
            Value::I8(n) => n.serialize(serializer),
            Value::U16(n) => n.serialize(serializer),
            Value::I16(n) => n.serialize(serializer),
            Value::U32(n) => n.serialize(serializer),
            Value::I32(n) => n.serialize(serializer),
            Value::U64(n) => Exact(*n).serialize(serializer),
            Value::I64(n) => Exact(*n).serialize(serializer),
            Value::F32(n) => Exact(*n).serialize(serializer),
            Value::F64(n) => Exact(*n).serialize(serializer),
            Value::Bool(yes) => yes.serialize(serializer),
            Value::String(bytes) => Exact(&**bytes).serialize(serializer),
            Value::Array(array) => match array {
                Array::U8(all) => all.serialize(serializer),
                Array::I8(all) => all.serialize(serializer),
                Array::U16(all) => all.serialize(serializer),
                Array::I16(all) => all.serialize(serializer),
                Array::U32(all) => all.serialize(serializer),
                Array::I32(all) => all.serialize(serializer),
                Array::U64(all) => serializer.collect_seq(all.iter().map(|n| Exact(*n))),
                Array::I64(all) => serializer.collect_seq(all.iter().map(|n| Exact(*n))),
                Array::F32(all) => serializer.collect_seq(all.iter().map(|n| Exact(*n))),
                Array::F64(all) => serializer.collect_seq(all.iter().map(|n| Exact(*n))),
                Array::Bool(all) => all.serialize(serializer),
                Array::String(all) => serializer.collect_seq(all.iter().map(Exact)),
            },
        }
    }
}

/// A value that JSON may be unable to spell.
struct Exact<T>(T);

fn spelled<S: Serializer>(serializer: S, kind: &str, text: String) -> Result<S::Ok, S::Error> {
    serializer.collect_map([(kind, text)])
}

impl Serialize for Exact<u64> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 <= MAX_EXACT {
            true => self.0.serialize(serializer),
            false => spelled(serializer, "u64", self.0.to_string()),
        }
    }
}

impl Serialize for Exact<i64> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.unsigned_abs() <= MAX_EXACT {
            true => self.0.serialize(serializer),
            false => spelled(serializer, "i64", self.0.to_string()),
        }
    }
}

impl Serialize for Exact<f32> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.is_finite() {
            true => self.0.serialize(serializer),
            false => spelled(serializer, "f32", format!("{:#010x}", self.0.to_bits())),
        }
    }
}

impl Serialize for Exact<f64> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.is_finite() {
            true => self.0.serialize(serializer),
            false => spelled(serializer, "f64", format!("{:#018x}", self.0.to_bits())),
        }
    }
}

impl Serialize for Exact<&[u8]> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(self.0) {
            Ok(text) => text.serialize(serializer),
            Err(_) => {
                let hex = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
                spelled(serializer, "bytes", hex)
            }
        }
    }
}
