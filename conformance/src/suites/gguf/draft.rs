//! Random GGUF files, each in two spellings that share no code: as calls of the engine's writer and
//! as pieces of our own language. Knows what a file may hold, not how it is judged.

use engine::loader::gguf::Writer;
use engine::loader::{Value, gguf::Array, gguf::Strings};
use engine::quant::{FORMATS, Format};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::HashSet;
use std::fmt::Write;

/// What a file shall hold.
#[derive(Debug, Clone)]
pub struct Draft {
    /// 2 or 3.
    pub version: u32,
    /// Absent: the file says nothing, and 32 holds.
    pub alignment: Option<u32>,
    /// Keys and values, no key twice.
    pub keys: Vec<(String, Value)>,
    /// Tensors, no name twice.
    pub tensors: Vec<Tensor>,
}

/// One tensor.
#[derive(Debug, Clone)]
pub struct Tensor {
    /// At most 63 bytes.
    pub name: String,
    /// Any format there is.
    pub format: &'static Format,
    /// Whole blocks in the first dimension.
    pub shape: Vec<u64>,
    /// As many bytes as the shape needs.
    pub data: Vec<u8>,
}

/// All drafts.
pub fn any_draft() -> impl Strategy<Value = Draft> {
    let alignment = proptest::option::of((0u32..=12).prop_map(|power| 1 << power));
    let keys = vec((text(40), any_value()), 0..12);
    let tensors = vec(any_tensor(), 0..6);
    (2u32..=3, alignment, keys, tensors).prop_map(|(version, alignment, mut keys, mut tensors)| {
        let mut seen = HashSet::from(["general.alignment".to_owned()]);
        keys.retain(|(key, _)| seen.insert(key.clone()));
        let mut seen = HashSet::new();
        tensors.retain(|tensor| seen.insert(tensor.name.clone()));
        Draft { version, alignment, keys, tensors }
    })
}

/// Any characters but NUL, at most `most` bytes.
fn text(most: usize) -> impl Strategy<Value = String> {
    let character = any::<char>().prop_filter("names hold no NUL", |c| *c != '\0');
    vec(character, 1..=most / 4).prop_map(|all| all.into_iter().collect())
}

fn any_value() -> impl Strategy<Value = Value> {
    let bytes = || vec(any::<u8>(), 0..20);
    let strings = vec(bytes(), 0..5).prop_map(|all| Value::from(all.iter().collect::<Strings>()));
    macro_rules! numbers {
        ($($number:ident)*) => {
            prop_oneof![
                $(any::<$number>().prop_map(Value::from),)*
                $(vec(any::<$number>(), 0..5).prop_map(Value::from),)*
            ]
        };
    }
    prop_oneof![
        4 => numbers!(u8 i8 u16 i16 u32),
        4 => numbers!(i32 u64 i64 bool),
        1 => any::<u32>().prop_map(|bits| Value::from(f32::from_bits(bits))),
        1 => any::<u64>().prop_map(|bits| Value::from(f64::from_bits(bits))),
        1 => vec(any::<u32>().prop_map(f32::from_bits), 0..5).prop_map(Value::from),
        1 => vec(any::<u64>().prop_map(f64::from_bits), 0..5).prop_map(Value::from),
        1 => bytes().prop_map(|bytes| Value::from(&bytes[..])),
        1 => strings,
    ]
}

fn any_tensor() -> impl Strategy<Value = Tensor> {
    let shape = vec(1u64..4, 0..=4);
    (text(60), 0..FORMATS.len(), shape, any::<u8>()).prop_map(|(name, format, mut shape, seed)| {
        let format = &FORMATS[format];
        let block_len = format.block_len as u64;
        match shape.first_mut() {
            Some(row) => *row *= block_len,
            None if block_len > 1 => shape.push(block_len),
            None => {}
        }
        let blocks = shape.iter().product::<u64>() as usize / format.block_len;
        let byte = |at: usize| seed.wrapping_mul(31).wrapping_add(at as u8);
        let data = (0..blocks * format.block_bytes).map(byte).collect();
        Tensor { name, format, shape, data }
    })
}

impl Draft {
    /// The file as the engine writes it.
    pub fn writer(&self) -> Writer {
        let mut writer = Writer::new();
        writer.version(self.version);
        if let Some(alignment) = self.alignment {
            writer.set("general.alignment", alignment);
        }
        for (key, value) in &self.keys {
            writer.set(key, value.clone());
        }
        for tensor in &self.tensors {
            writer.tensor(&tensor.name, tensor.format, &tensor.shape, tensor.data.clone());
        }
        writer
    }

    /// The same file in the language of the vectors.
    pub fn pieces(&self) -> Vec<String> {
        let alignment = self.alignment.unwrap_or(32);
        let n_keys = self.keys.len() + usize::from(self.alignment.is_some());
        let version = format!("u32 {}", self.version);
        let mut pieces = vec!["magic".into(), version];
        pieces.push(format!("u64 {} {n_keys}", self.tensors.len()));
        pieces.extend(self.alignment.map(|n| format!("kv-u32 general.alignment {n}")));
        for (key, value) in &self.keys {
            pieces.push(format!("str {}", escaped(key.as_bytes())));
            pieces.push(format!("u32 {}", value.type_id()));
            value_pieces(value, &mut pieces);
        }
        let mut offset = 0;
        for tensor in &self.tensors {
            let (format, shape) = (tensor.format.name, &tensor.shape);
            let dims: Vec<String> = shape.iter().map(u64::to_string).collect();
            let name = escaped(tensor.name.as_bytes());
            pieces.push(format!("info {format} [{}] {name} @{offset}", dims.join(",")));
            offset += tensor.data.len().next_multiple_of(alignment as usize);
        }
        for tensor in &self.tensors {
            pieces.push(format!("pad {alignment}"));
            pieces.push(format!("bytes {}", hex(&tensor.data)));
        }
        if !self.tensors.is_empty() {
            pieces.push(format!("pad {alignment}"));
        }
        pieces
    }

    /// The body of a `[[case]]`.
    pub fn to_vector(&self) -> String {
        let mut text = "file = [\n".to_owned();
        for piece in self.pieces() {
            let _ = writeln!(text, "    {},", toml::Value::String(piece));
        }
        let length = self.writer().to_bytes().map_or(0, |bytes| bytes.len());
        text + &format!("]\nlength = {length}\nwant = \"Ok\"\n")
    }
}

/// Numbers as bit patterns: decimal text would lose the payload of a NaN.
fn value_pieces(value: &Value, pieces: &mut Vec<String>) {
    let mut put = |width: usize, bits: u64| pieces.push(format!("u{} {bits:#x}", width * 8));
    match value {
        Value::U8(n) => put(1, (*n).into()),
        Value::I8(n) => put(1, (*n as u8).into()),
        Value::U16(n) => put(2, (*n).into()),
        Value::I16(n) => put(2, (*n as u16).into()),
        Value::U32(n) => put(4, (*n).into()),
        Value::I32(n) => put(4, (*n as u32).into()),
        Value::F32(n) => put(4, n.to_bits().into()),
        Value::U64(n) => put(8, *n),
        Value::I64(n) => put(8, *n as u64),
        Value::F64(n) => put(8, n.to_bits()),
        Value::Bool(yes) => put(1, (*yes).into()),
        Value::String(bytes) => pieces.push(format!("str {}", escaped(bytes))),
        Value::Array(array) => {
            pieces.push(format!("u32 {}", array.type_id()));
            pieces.push(format!("u64 {}", array.len()));
            items(array).iter().for_each(|item| value_pieces(item, pieces));
        }
    }
}

fn items(array: &Array) -> Vec<Value> {
    macro_rules! items {
        ($($Variant:ident)*) => {
            match array {
                $(Array::$Variant(all) => all.iter().map(|item| Value::from(*item)).collect(),)*
                Array::String(all) => all.iter().map(Value::from).collect(),
            }
        };
    }
    items!(U8 I8 U16 I16 U32 I32 F32 U64 I64 F64 Bool)
}

fn escaped(bytes: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    let one = |byte: &u8| match plain(*byte) {
        true => char::from(*byte).to_string(),
        false => format!("\\x{byte:02x}"),
    };
    bytes.iter().map(one).collect()
}

fn hex(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(" ")
}
