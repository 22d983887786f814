//! A GGUF file's keys and values, in file order, with getters that say exactly what is wrong.
//! Knows types; knows no key except where a caller names it.

use super::cursor::Cursor;
use super::value::{Array, Strings, Value, put_string};
use crate::error::{Class, Error, Named, Result, shown};
use crate::loader::names::NameIndex;

/// The format's own limit for a key.
pub const MAX_KEY: u64 = 65_535;
/// Real files hold a few dozen keys. The limit keeps memory proportional to the file: an entry is
/// several times larger here than in the smallest file that can hold it.
pub const MAX_KEYS: u64 = 1 << 18;
/// Key length, type and the smallest value; the key itself may be empty (and is then refused).
const MIN_ENTRY: u64 = 8 + 4 + 1;

/// Ordered keys and values.
#[derive(Debug, Clone, Default)]
pub struct Metadata {
    entries: Vec<(Box<str>, Value)>,
    index: NameIndex,
}

impl Metadata {
    /// Reads `count` entries.
    pub(super) fn read(cursor: &mut Cursor, count: u64) -> Result<Metadata> {
        let mut metadata = Metadata {
            entries: Vec::with_capacity(count as usize),
            index: NameIndex::with_capacity(count as usize),
        };
        let mut first_bad = None;
        for index in 0..count {
            let at = cursor.at();
            let key = read_key(cursor, index, count)?;
            let place = Named("key", &key);
            // A reader written in C sees only what is before a NUL; two keys that look the same to
            // it are the same key.
            let position = metadata.entries.len() as u32;
            if let Err(first) = metadata.index_as(c_string(&key), position) {
                let detail = format!("entry {index}, but entry {first} has the same key");
                return Err(cursor.refuse(Class::DuplicateKey, &place, at, detail));
            }
            if key.contains('\0') && first_bad.is_none() {
                let detail = "a key must not contain a NUL byte".to_string();
                first_bad = Some(cursor.refuse(Class::InvalidKey, &place, at, detail));
            }
            let value = Value::read(cursor, &place)?;
            metadata.entries.push((key, value));
        }
        first_bad.map_or(Ok(metadata), Err)
    }

    /// Refuses a number of entries that the rest of the file cannot hold.
    pub(super) fn check_count(count: u64, left: u64) -> Result<()> {
        super::layout::check_count("metadata entries", count, MIN_ENTRY, left, 16)?;
        if count > MAX_KEYS {
            let detail = format!("{count} metadata entries, we read at most {MAX_KEYS}");
            return Err(Error::refused(Class::CountOutOfRange, "header at byte 16", detail));
        }
        Ok(())
    }

    fn index_as(&mut self, name: &[u8], position: u32) -> Result<(), u32> {
        let entries = &self.entries;
        self.index.insert(name, position, |at| c_string(&entries[at as usize].0))
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let at = self.index.find(key.as_bytes(), |at| c_string(&self.entries[at as usize].0))?;
        Some(&self.entries[at as usize].1)
    }

    /// Whether there is such a key.
    pub fn contains(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Sets `key`, in place if it exists, else at the end.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) -> &mut Self {
        let position = self.entries.len() as u32;
        match self.index_as(key.as_bytes(), position) {
            Ok(()) => self.entries.push((key.into(), value.into())),
            Err(at) => self.entries[at as usize].1 = value.into(),
        }
        self
    }

    /// Keeps the entries whose key `keep` accepts.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        let entries = std::mem::take(&mut self.entries);
        *self = Metadata::default();
        for (key, value) in entries.into_iter().filter(|(key, _)| keep(key)) {
            self.set(&key, value);
        }
    }

    /// All entries, in file order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (&**key, value))
    }

    /// How many entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// No entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Appends all entries as the file holds them.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        for (key, value) in &self.entries {
            put_string(key.as_bytes(), out);
            out.extend_from_slice(&value.type_id().to_le_bytes());
            value.put(out);
        }
    }

    fn typed<'m, T>(
        &'m self,
        key: &str,
        wanted: &str,
        pick: impl Fn(&'m Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match pick(value) {
            Some(value) => Ok(Some(value)),
            None => {
                let detail = format!("wanted {wanted}, found {value}");
                Err(Error::refused(Class::WrongType, Named("key", key).to_string(), detail))
            }
        }
    }

    fn missing(&self, key: &str, wanted: &str) -> Error {
        let detail = format!("wanted {wanted}, but the file has no such key");
        Error::refused(Class::MissingKey, Named("key", key).to_string(), detail)
    }

    /// A string that must be UTF-8.
    pub fn str(&self, key: &str) -> Result<&str> {
        self.opt_str(key)?.ok_or_else(|| self.missing(key, "string"))
    }

    /// Like [`Metadata::str`] for a key that may be absent.
    pub fn opt_str(&self, key: &str) -> Result<Option<&str>> {
        let Some(bytes) = self.opt_bytes(key)? else { return Ok(None) };
        match std::str::from_utf8(bytes) {
            Ok(string) => Ok(Some(string)),
            Err(bad) => {
                let detail = format!("not UTF-8 at byte {} of {}", bad.valid_up_to(), shown(bytes));
                Err(Error::refused(Class::InvalidUtf8, Named("key", key).to_string(), detail))
            }
        }
    }
}

/// A strict getter per type: llama.cpp's converters write exactly one type per key, so a different
/// type is a different file than the one we understand.
macro_rules! getters {
    ($($get:ident $opt_get:ident $type:ty, $wanted:literal, $pattern:pat => $value:expr;)*) => {
        impl Metadata {$(
            #[doc = concat!("The value of `key`, which must be there and be ", $wanted, ".")]
            pub fn $get(&self, key: &str) -> Result<$type> {
                self.$opt_get(key)?.ok_or_else(|| self.missing(key, $wanted))
            }

            #[doc = concat!("The value of `key`, which must be ", $wanted, " if it is there.")]
            pub fn $opt_get(&self, key: &str) -> Result<Option<$type>> {
                self.typed(key, $wanted, |value| match value {
                    $pattern => Some::<$type>($value),
                    _ => None,
                })
            }
        )*}
    };
}
getters! {
    u16 opt_u16 u16, "u16", Value::U16(n) => *n;
    u32 opt_u32 u32, "u32", Value::U32(n) => *n;
    u64 opt_u64 u64, "u64", Value::U64(n) => *n;
    i32 opt_i32 i32, "i32", Value::I32(n) => *n;
    f32 opt_f32 f32, "f32", Value::F32(n) => *n;
    bool opt_bool bool, "bool", Value::Bool(yes) => *yes;
    bytes opt_bytes &[u8], "string", Value::String(bytes) => bytes;
    strings opt_strings &Strings, "array of string", Value::Array(Array::String(all)) => all;
    i32s opt_i32s &[i32], "array of i32", Value::Array(Array::I32(all)) => all;
    u32s opt_u32s &[u32], "array of u32", Value::Array(Array::U32(all)) => all;
    f32s opt_f32s &[f32], "array of f32", Value::Array(Array::F32(all)) => all;
    bools opt_bools &[bool], "array of bool", Value::Array(Array::Bool(all)) => all;
}

fn read_key(cursor: &mut Cursor, index: u64, count: u64) -> Result<Box<str>> {
    let what = format_args!("key of entry {index} of {count}");
    let at = cursor.at();
    let length: u64 = cursor.number(&what)?;
    let left = cursor.left();
    // A key is never long, so even one that merely runs past the end has a bad length.
    if length > MAX_KEY || length > left {
        let detail = format!(
            "length {length} ({length:#x}), but {left} bytes are left and a key may have {MAX_KEY}"
        );
        return Err(cursor.refuse(Class::StringTooLong, &what, at, detail));
    }
    // Copied before it is judged: a mapped file may change between two looks.
    let key = cursor.take(length, &what)?.to_vec();
    if key.is_empty() {
        let detail = "the key is empty".to_string();
        return Err(cursor.refuse(Class::EmptyKey, &what, at, detail));
    }
    match String::from_utf8(key) {
        Ok(key) => Ok(key.into()),
        Err(bad) => {
            let valid = bad.utf8_error().valid_up_to();
            let detail = format!("not UTF-8 at byte {valid} of {}", shown(bad.as_bytes()));
            Err(cursor.refuse(Class::InvalidUtf8, &what, at, detail))
        }
    }
}

fn c_string(key: &str) -> &[u8] {
    key.split('\0').next().unwrap_or_default().as_bytes()
}
