//! The values a GGUF file keeps under its keys, read and written losslessly. String arrays live in
//! one byte buffer: a vocabulary of 200,000 tokens is two allocations.

use super::cursor::{Cursor, Number};
use crate::error::{Class, Result, shown};
use std::fmt::{self, Display};

const BOOL: u32 = 7;
const STRING: u32 = 8;
const ARRAY: u32 = 9;

/// An array of byte strings in one buffer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Strings {
    bytes: Vec<u8>,
    /// Where each string ends in `bytes`; it begins where the one before ends.
    ends: Vec<u64>,
}

impl Strings {
    /// How many strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// No strings.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// String `index`; its bytes need not be UTF-8.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        Some(&self.bytes[start as usize..end as usize])
    }

    /// The bytes from where string `index` begins to the end of the last one, and the string's
    /// length: for who reads more bytes at once than it has.
    pub(crate) fn window(&self, index: usize) -> Option<(&[u8], usize)> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        Some((&self.bytes[start as usize..], (end - start) as usize))
    }

    /// All strings, one after another.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// All strings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.get(index).unwrap_or_default())
    }

    /// Appends a string.
    pub fn push(&mut self, string: impl AsRef<[u8]>) {
        self.bytes.extend_from_slice(string.as_ref());
        self.ends.push(self.bytes.len() as u64);
    }
}

impl<S: AsRef<[u8]>> FromIterator<S> for Strings {
    fn from_iter<I: IntoIterator<Item = S>>(strings: I) -> Self {
        let mut all = Strings::default();
        strings.into_iter().for_each(|string| all.push(string));
        all
    }
}

/// Generates the two enums and all that is repeated per number type. The ids are GGUF's.
macro_rules! values {
    ($($id:literal $Variant:ident $number:ident)*) => {
        /// A metadata value.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs)] // the names are the format's own
        pub enum Value {
            $($Variant($number),)*
            Bool(bool),
            /// Bytes, because files hold strings that are not UTF-8.
            String(Box<[u8]>),
            Array(Array),
        }

        /// An array of one element type; GGUF arrays hold no arrays here.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs)] // the names are the format's own
        pub enum Array {
            $($Variant(Vec<$number>),)*
            Bool(Vec<bool>),
            String(Strings),
        }

        $(impl From<$number> for Value {
            fn from(number: $number) -> Self { Value::$Variant(number) }
        }
        impl From<Vec<$number>> for Value {
            fn from(numbers: Vec<$number>) -> Self { Value::Array(Array::$Variant(numbers)) }
        })*

        impl Value {
            /// GGUF's id of the type.
            pub fn type_id(&self) -> u32 {
                match self {
                    $(Value::$Variant(_) => $id,)*
                    Value::Bool(_) => BOOL,
                    Value::String(_) => STRING,
                    Value::Array(_) => ARRAY,
                }
            }

            /// Appends the value as the file holds it, without its type id.
            pub(super) fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Value::$Variant(number) => number.put_le(out),)*
                    Value::Bool(yes) => out.push(*yes as u8),
                    Value::String(string) => put_string(string, out),
                    Value::Array(array) => array.put(out),
                }
            }

            /// The value alone, on one line; of an array, how many elements.
            pub fn text(&self) -> String {
                match self {
                    $(Value::$Variant(number) => format!("{number:?}"),)*
                    Value::Bool(yes) => yes.to_string(),
                    Value::String(string) => shown(string),
                    Value::Array(array) => format!("{} elements", array.len()),
                }
            }

            fn read_scalar(id: u32, cursor: &mut Cursor, what: &dyn Display) -> Result<Value> {
                Ok(match id {
                    $($id => Value::$Variant(cursor.number(what)?),)*
                    BOOL => Value::Bool(read_bools(1, cursor, what)?[0]),
                    _ => Value::String(cursor.string(what)?.into()),
                })
            }
        }

        impl Array {
            /// GGUF's id of the element type.
            pub fn type_id(&self) -> u32 {
                match self {
                    $(Array::$Variant(_) => $id,)*
                    Array::Bool(_) => BOOL,
                    Array::String(_) => STRING,
                }
            }

            /// How many elements.
            pub fn len(&self) -> usize {
                match self {
                    $(Array::$Variant(numbers) => numbers.len(),)*
                    Array::Bool(bools) => bools.len(),
                    Array::String(strings) => strings.len(),
                }
            }

            /// Element `index` as a value of its own.
            pub fn value(&self, index: usize) -> Option<Value> {
                Some(match self {
                    $(Array::$Variant(numbers) => Value::$Variant(*numbers.get(index)?),)*
                    Array::Bool(bools) => Value::Bool(*bools.get(index)?),
                    Array::String(strings) => Value::String(strings.get(index)?.into()),
                })
            }

            fn put(&self, out: &mut Vec<u8>) {
                self.type_id().put_le(out);
                (self.len() as u64).put_le(out);
                match self {
                    $(Array::$Variant(numbers) => numbers.iter().for_each(|n| n.put_le(out)),)*
                    Array::Bool(bools) => out.extend(bools.iter().map(|yes| *yes as u8)),
                    Array::String(strings) => strings.iter().for_each(|s| put_string(s, out)),
                }
            }

            fn read_items(
                id: u32,
                n: u64,
                cursor: &mut Cursor,
                what: &dyn Display,
            ) -> Result<Array> {
                Ok(match id {
                    $($id => Array::$Variant(read_numbers(n, cursor, what)?),)*
                    BOOL => Array::Bool(read_bools(n, cursor, what)?),
                    _ => Array::String(read_strings(n, cursor, what)?),
                })
            }
        }

        /// Name of a value type and the fewest bytes that one value of it takes.
        fn type_of(id: u32) -> Option<(&'static str, u64)> {
            match id {
                $($id => Some((stringify!($number), $number::BYTES as u64)),)*
                BOOL => Some(("bool", 1)),
                STRING => Some(("string", 8)),
                ARRAY => Some(("array", 12)),
                _ => None,
            }
        }
    };
}
values! {
    0 U8 u8  1 I8 i8  2 U16 u16  3 I16 i16  4 U32 u32  5 I32 i32  6 F32 f32
    10 U64 u64  11 I64 i64  12 F64 f64
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Value::Bool(yes)
    }
}

impl From<&str> for Value {
    fn from(string: &str) -> Self {
        Value::String(string.as_bytes().into())
    }
}

impl From<&[u8]> for Value {
    fn from(string: &[u8]) -> Self {
        Value::String(string.into())
    }
}

impl From<String> for Value {
    fn from(string: String) -> Self {
        Value::String(string.into_bytes().into())
    }
}

impl From<Strings> for Value {
    fn from(strings: Strings) -> Self {
        Value::Array(Array::String(strings))
    }
}

impl From<Vec<bool>> for Value {
    fn from(bools: Vec<bool>) -> Self {
        Value::Array(Array::Bool(bools))
    }
}

impl Value {
    /// Name of the type: `u32`, `array of string`.
    pub fn type_name(&self) -> String {
        match self {
            Value::Array(array) => format!("array of {}", array.type_name()),
            _ => type_of(self.type_id()).map_or("?", |(name, _)| name).to_owned(),
        }
    }

    /// Reads a type id and the value.
    pub(super) fn read(cursor: &mut Cursor, what: &dyn Display) -> Result<Value> {
        let at = cursor.at();
        let id: u32 = cursor.number(what)?;
        match id {
            ARRAY => Array::read(cursor, what).map(Value::Array),
            _ if type_of(id).is_some() => Value::read_scalar(id, cursor, what),
            _ => Err(unknown_type(id, at, cursor, what)),
        }
    }
}

impl Array {
    /// No elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Name of the element type.
    pub fn type_name(&self) -> &'static str {
        type_of(self.type_id()).map_or("?", |(name, _)| name)
    }

    fn read(cursor: &mut Cursor, what: &dyn Display) -> Result<Array> {
        let at = cursor.at();
        let id: u32 = cursor.number(what)?;
        let Some((name, item_bytes)) = type_of(id) else {
            return Err(unknown_type(id, at, cursor, what));
        };
        if id == ARRAY {
            let detail = "an array of arrays, which no model uses".to_string();
            return Err(cursor.refuse(Class::NestedArray, what, at, detail));
        }
        let count: u64 = cursor.number(what)?;
        // As for strings: impossible for a file of this size, or merely cut?
        let size = cursor.at() + cursor.left();
        if count.checked_mul(item_bytes).is_none_or(|bytes| bytes > size) {
            let detail = format!(
                "{count} ({count:#x}) elements of type {name}, at least {item_bytes} bytes each, \
                 but the file has {size} bytes"
            );
            return Err(cursor.refuse(Class::ArrayTooLong, what, at, detail));
        }
        Array::read_items(id, count, cursor, what)
    }
}

fn unknown_type(id: u32, at: u64, cursor: &Cursor, what: &dyn Display) -> crate::error::Error {
    let detail = format!("value type {id} ({id:#x}), known are 0 to 12");
    cursor.refuse(Class::BadType, what, at, detail)
}

fn read_numbers<N: Number>(n: u64, cursor: &mut Cursor, what: &dyn Display) -> Result<Vec<N>> {
    let bytes = cursor.take(n * N::BYTES as u64, what)?;
    Ok(bytes.chunks_exact(N::BYTES).map(N::from_le).collect())
}

fn read_bools(n: u64, cursor: &mut Cursor, what: &dyn Display) -> Result<Vec<bool>> {
    let at = cursor.at();
    // Copied before it is judged: a mapped file may change between two looks.
    let bytes = cursor.take(n, what)?.to_vec();
    if let Some(bad) = bytes.iter().position(|byte| *byte > 1) {
        let detail = format!("element {bad} is {}, a bool is 0 or 1", bytes[bad]);
        return Err(cursor.refuse(Class::InvalidBool, what, at + bad as u64, detail));
    }
    Ok(bytes.into_iter().map(|byte| byte == 1).collect())
}

fn read_strings(n: u64, cursor: &mut Cursor, what: &dyn Display) -> Result<Strings> {
    // Each string takes eight bytes for its length, so this is no more than the file holds.
    if n * 8 > cursor.left() {
        cursor.take(n * 8, what)?;
    }
    let mut ends = Vec::with_capacity(n as usize);
    let mut bytes = Vec::with_capacity(n as usize * 8);
    for _ in 0..n {
        bytes.extend_from_slice(cursor.string(what)?);
        ends.push(bytes.len() as u64);
    }
    bytes.shrink_to_fit();
    Ok(Strings { bytes, ends })
}

/// Appends a string as GGUF holds it: length, bytes.
pub(super) fn put_string(string: &[u8], out: &mut Vec<u8>) {
    (string.len() as u64).put_le(out);
    out.extend_from_slice(string);
}

/// For messages: the type, and the value where it is short.
impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Array(array) => write!(f, "array of {} {}", array.len(), array.type_name()),
            _ => write!(f, "{} {}", self.type_name(), self.text()),
        }
    }
}
