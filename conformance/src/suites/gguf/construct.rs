//! The language in which a vector spells a GGUF file: one piece a line, in file order.
//! Knows how bytes are laid down, not whether they make sense: a piece can lie about everything.
//!
//! | piece | lays down |
//! |---|---|
//! | `header T K` | magic, version 3, `T` tensors, `K` keys |
//! | `magic`, `text WORDS`, `bytes 00 ff` | the four letters; text as it stands; bytes in hex |
//! | `u8 N…`, `u16`, `u32`, `u64`, `f32`, `f64` | little-endian numbers; negative ones wrap |
//! | `str TEXT` | u64 length and text |
//! | `kv-TYPE KEY VALUE` | key, type id and value; TYPE is `u8` … `f64`, `bool` or `str` |
//! | `kv-array KEY TYPE N` | key, type id 9, element type id, count; elements are further pieces |
//! | `info FORMAT [D,…] NAME @OFFSET` | a tensor info; FORMAT is `Q8_0` or a bare id `#255` |
//! | `pad N`, `pad N ff` | zeros (or that byte) up to a multiple of `N` |
//! | `fill N 00` | `N` times that byte |
//! | `keep N`, `drop N` | cuts what stands so far to `N` bytes, or by `N` bytes |
//! | `{ repeat = N, pieces = […] }` | the pieces `N` times, `$i` counting from 0 |
//!
//! `text`, `str`, keys and names know `\xHH`. Numbers may be written `2^63-1`, `$i*32`, `0xff`.

use super::number::{self, integer};
use engine::quant;
use schemars::JsonSchema;
use serde::Deserialize;

/// One piece of a file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Piece {
    /// A line of the language above.
    Line(String),
    /// Pieces laid down many times.
    Repeat(Repeat),
}

/// `{ repeat = 20000, pieces = ["kv-u8 k$i 0"] }`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// How many times.
    pub repeat: u64,
    /// What; `$i` counts from 0.
    pub pieces: Vec<Piece>,
}

/// An integer field of the file, as the builder laid it down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Byte offset.
    pub at: usize,
    /// 4 or 8 bytes.
    pub width: usize,
    /// What the field is, for messages.
    pub role: &'static str,
}

/// A file under construction.
#[derive(Debug, Default)]
pub struct File {
    /// What stands so far.
    pub bytes: Vec<u8>,
    /// Every u32 and u64 in it that steers a reader.
    pub fields: Vec<Field>,
}

type Built = Result<(), String>;

/// Lays down a whole file.
pub fn build(pieces: &[Piece]) -> Result<File, String> {
    let mut file = File::default();
    file.all(pieces, None)?;
    Ok(file)
}

impl File {
    fn all(&mut self, pieces: &[Piece], count: Option<u64>) -> Built {
        for piece in pieces {
            match (piece, count) {
                (Piece::Line(line), None) => self.line(line)?,
                (Piece::Line(line), Some(i)) => self.line(&line.replace("$i", &i.to_string()))?,
                (Piece::Repeat(_), Some(_)) => {
                    return Err("a repeat inside a repeat: $i would be ambiguous".into());
                }
                (Piece::Repeat(many), None) => {
                    for i in 0..many.repeat {
                        self.all(&many.pieces, Some(i))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &str) -> Built {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let laid = match verb {
            "magic" if rest.is_empty() => self.raw(b"GGUF"),
            "header" => self.header(rest),
            "text" => unescape(rest).and_then(|text| self.raw(&text)),
            "str" => unescape(rest).and_then(|text| self.string(&text, "string length")),
            "bytes" => self.hex(rest),
            "info" => self.info(rest),
            "kv-array" => self.array(rest),
            "pad" => self.pad(rest),
            "fill" => self.fill(rest),
            "keep" => integer(rest).and_then(|n| self.keep(n)),
            "drop" => integer(rest).and_then(|n| self.keep(self.bytes.len() as i128 - n)),
            _ => match verb.strip_prefix("kv-") {
                Some(kind) => self.pair(kind, rest),
                None => rest.split(' ').try_for_each(|n| self.number(verb, n)),
            },
        };
        laid.map_err(|why| format!("piece '{line}': {why}"))
    }

    fn raw(&mut self, bytes: &[u8]) -> Built {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn field(&mut self, width: usize, role: &'static str, value: i128) -> Built {
        let bytes = number::little_endian(value, width)?;
        let at = self.bytes.len();
        self.fields.push(Field { at, width, role });
        self.raw(&bytes)
    }

    fn number(&mut self, kind: &str, text: &str) -> Built {
        match kind {
            "u32" => self.field(4, "u32", integer(text)?),
            "u64" => self.field(8, "u64", integer(text)?),
            _ => number::encode(kind, text).and_then(|bytes| self.raw(&bytes)),
        }
    }

    fn string(&mut self, text: &[u8], role: &'static str) -> Built {
        self.field(8, role, text.len() as i128)?;
        self.raw(text)
    }

    fn header(&mut self, rest: &str) -> Built {
        let [tensors, keys] = words(rest)?;
        self.raw(b"GGUF")?;
        self.field(4, "version", 3)?;
        self.field(8, "tensor count", integer(tensors)?)?;
        self.field(8, "key count", integer(keys)?)
    }

    fn pair(&mut self, kind: &str, rest: &str) -> Built {
        let (key, value) = rest.split_once(' ').ok_or("wants KEY VALUE")?;
        self.string(&unescape(key)?, "key length")?;
        self.field(4, "value type", number::type_id(kind)?)?;
        match kind {
            "str" => self.string(&unescape(value)?, "string length"),
            "bool" => self.number("u8", value),
            _ => self.number(kind, value),
        }
    }

    fn array(&mut self, rest: &str) -> Built {
        let [key, kind, count] = words(rest)?;
        self.string(&unescape(key)?, "key length")?;
        self.field(4, "value type", number::type_id("array")?)?;
        self.field(4, "element type", number::type_id(kind)?)?;
        self.field(8, "array length", integer(count)?)
    }

    fn info(&mut self, rest: &str) -> Built {
        let (format, rest) = rest.split_once(" [").ok_or("wants FORMAT [D,…]")?;
        let (dims, rest) = rest.split_once("] ").ok_or("wants [D,…] NAME")?;
        let (name, offset) = rest.rsplit_once('@').ok_or("wants NAME @OFFSET")?;
        let id = match format.strip_prefix('#') {
            Some(id) => integer(id)?,
            None => i128::from(quant::by_name(format).ok_or("no such format")?.id),
        };
        let dims: Vec<&str> = dims.split(',').filter(|dim| !dim.is_empty()).collect();
        let name = name.strip_suffix(' ').ok_or("wants a space before @")?;
        self.string(&unescape(name)?, "name length")?;
        self.field(4, "dimension count", dims.len() as i128)?;
        for dim in dims {
            self.field(8, "dimension", integer(dim)?)?;
        }
        self.field(4, "tensor type", id)?;
        self.field(8, "tensor offset", integer(offset)?)
    }

    fn hex(&mut self, rest: &str) -> Built {
        for byte in rest.split(' ') {
            self.bytes.push(hex_byte(byte)?);
        }
        Ok(())
    }

    fn pad(&mut self, rest: &str) -> Built {
        let (to, byte) = rest.split_once(' ').unwrap_or((rest, "00"));
        let to = usize::try_from(integer(to)?).map_err(|e| e.to_string())?;
        let length = self.bytes.len().next_multiple_of(to.max(1));
        self.bytes.resize(length, hex_byte(byte)?);
        Ok(())
    }

    fn fill(&mut self, rest: &str) -> Built {
        let [count, byte] = words(rest)?;
        let count = usize::try_from(integer(count)?).map_err(|e| e.to_string())?;
        self.bytes.resize(self.bytes.len() + count, hex_byte(byte)?);
        Ok(())
    }

    fn keep(&mut self, length: i128) -> Built {
        match usize::try_from(length) {
            Ok(length) if length < self.bytes.len() => {
                self.bytes.truncate(length);
                self.fields.retain(|f| f.at + f.width <= length);
                Ok(())
            }
            _ => Err(format!("cannot cut {} bytes to {length}", self.bytes.len())),
        }
    }
}

fn words<const N: usize>(rest: &str) -> Result<[&str; N], String> {
    let words: Vec<&str> = rest.split(' ').collect();
    words.try_into().map_err(|_| format!("wants {N} words"))
}

fn hex_byte(text: &str) -> Result<u8, String> {
    match text.len() {
        2 => u8::from_str_radix(text, 16).map_err(|e| format!("'{text}': {e}")),
        _ => Err(format!("'{text}' is not two hex digits")),
    }
}

/// Text with `\xHH` for bytes that have no other writing.
pub fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut parts = text.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (code, plain) = part.split_at_checked(2).ok_or("wants \\xHH")?;
        bytes.push(hex_byte(code)?);
        bytes.extend_from_slice(plain.as_bytes());
    }
    Ok(bytes)
}
