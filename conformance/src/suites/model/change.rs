//! The language in which a vector spells what is done to a sound model file: one change a line.
//!
//! | change | does |
//! |---|---|
//! | `set TYPE KEY VALUE` | sets a key; TYPE is `u8` … `f64`, `bool` or `str` |
//! | `long N KEY TEXT` | sets a key to `N` times a text |
//! | `array TYPE KEY VALUE…` | sets a key to an array of these values |
//! | `many N TYPE KEY VALUE` | sets a key to an array of `N` times that value; `$i` counts from 0 |
//! | `item KEY INDEX VALUE`, `long-item KEY INDEX N TEXT` | replaces an element |
//! | `cut KEY N`, `unset KEY` | keeps `N` elements; takes the key away |
//! | `drop TENSOR`, `add FORMAT [D,…] TENSOR` | takes a tensor away, adds one of zeros |
//! | `reshape [D,…] TENSOR`, `retype FORMAT TENSOR` | the same tensor, all zeros, made otherwise |
//! | `bytes TENSOR HH…` | writes these bytes all over its data |
//! | `block TENSOR AT HH…` | writes these bytes into each of its blocks |
//!
//! `VALUE` and `TEXT` know `\xHH`. Knows how to change, not whether the result makes sense.

use crate::suites::gguf::construct::unescape;
use crate::suites::gguf::number::integer;
use engine::loader::Gguf;
use engine::loader::gguf::tensor::data_bytes;
use engine::loader::gguf::{Array, Metadata, Strings, Value, Writer};
use engine::quant::{self, Format};
use std::path::Path;

/// A model file that can be changed.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    metadata: Metadata,
    tensors: Vec<Tensor>,
}

#[derive(Debug, Clone)]
struct Tensor {
    name: String,
    format: &'static Format,
    shape: Vec<u64>,
    data: Vec<u8>,
}

type Done = Result<(), String>;

impl Draft {
    /// Everything that a file holds.
    pub(super) fn of(file: &Gguf) -> Draft {
        let tensor = |info: &engine::loader::gguf::TensorInfo| Tensor {
            name: info.name.clone(),
            format: info.format,
            shape: info.shape.to_vec(),
            data: file.view(info).data.to_vec(),
        };
        let tensors = file.tensors().iter().map(tensor).collect();
        Draft { metadata: file.metadata().clone(), tensors }
    }

    /// Writes it. The container is sound whatever was changed: what is wrong is the model.
    pub(super) fn write(&self, path: &Path) -> Result<(), String> {
        let mut writer = Writer::new();
        *writer.metadata() = self.metadata.clone();
        for Tensor { name, format, shape, data } in &self.tensors {
            writer.tensor(name, format, shape, data.clone());
        }
        writer.write(path).map_err(|e| e.to_string())
    }

    /// Makes one change.
    pub(super) fn change(&mut self, line: &str) -> Done {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let done = match verb {
            "set" => self.set(rest),
            "long" => self.long(rest),
            "array" => self.array(rest),
            "many" => self.many(rest),
            "item" => self.item(rest),
            "long-item" => self.long_item(rest),
            "cut" => self.cut(rest),
            "unset" => self.unset(rest),
            "drop" => self.find(rest).map(|at| drop(self.tensors.remove(at))),
            "add" => self.add(rest),
            "reshape" => self.reshape(rest),
            "retype" => self.retype(rest),
            "bytes" => self.bytes(rest),
            "block" => self.block(rest),
            _ => Err("no such change".into()),
        };
        done.map_err(|why| format!("change '{line}': {why}"))
    }

    fn put(&mut self, key: &str, value: Value) -> Done {
        self.metadata.set(key, value);
        Ok(())
    }

    fn set(&mut self, rest: &str) -> Done {
        let [kind, key, value] = words(rest)?;
        self.put(key, scalar(kind, value)?)
    }

    fn long(&mut self, rest: &str) -> Done {
        let [count, key, text] = words(rest)?;
        let text = unescape(text)?.repeat(count_of(count)?);
        self.put(key, Value::String(text.into()))
    }

    fn array(&mut self, rest: &str) -> Done {
        let (kind, rest) = rest.split_once(' ').ok_or("wants TYPE KEY VALUE…")?;
        let (key, values) = rest.split_once(' ').unwrap_or((rest, ""));
        let values = values.split(' ').filter(|value| !value.is_empty());
        let values: Vec<Value> = values.map(|v| scalar(kind, v)).collect::<Result<_, _>>()?;
        self.put(key, gather(kind, values)?)
    }

    fn many(&mut self, rest: &str) -> Done {
        let [count, kind, key, value] = words(rest)?;
        let values =
            (0..count_of(count)?).map(|i| scalar(kind, &value.replace("$i", &i.to_string())));
        let values: Vec<Value> = values.collect::<Result<_, _>>()?;
        self.put(key, gather(kind, values)?)
    }

    /// The elements of an array and the name of their type.
    fn items(&self, key: &str) -> Result<(&'static str, Vec<Value>), String> {
        match self.metadata.get(key) {
            Some(Value::Array(array)) => {
                let kind = match array {
                    Array::String(_) => "str",
                    other => other.type_name(),
                };
                Ok((kind, (0..array.len()).filter_map(|i| array.value(i)).collect()))
            }
            other => Err(format!("{key} is no array: {other:?}")),
        }
    }

    fn replace(&mut self, key: &str, index: &str, text: &str) -> Done {
        let (kind, mut items) = self.items(key)?;
        let index = count_of(index)?;
        *items.get_mut(index).ok_or("no such element")? = scalar(kind, text)?;
        self.put(key, gather(kind, items)?)
    }

    fn item(&mut self, rest: &str) -> Done {
        let [key, index, value] = words(rest)?;
        self.replace(key, index, value)
    }

    fn long_item(&mut self, rest: &str) -> Done {
        let [key, index, count, text] = words(rest)?;
        self.replace(key, index, &text.repeat(count_of(count)?))
    }

    fn cut(&mut self, rest: &str) -> Done {
        let [key, count] = words(rest)?;
        let (kind, mut items) = self.items(key)?;
        let count = count_of(count)?;
        if count >= items.len() {
            return Err(format!("{} elements cannot be cut to {count}", items.len()));
        }
        items.truncate(count);
        self.put(key, gather(kind, items)?)
    }

    fn unset(&mut self, key: &str) -> Done {
        if !self.metadata.contains(key) {
            return Err("no such key".into());
        }
        self.metadata.retain(|other| other != key);
        Ok(())
    }

    fn find(&self, name: &str) -> Result<usize, String> {
        let found = self.tensors.iter().position(|tensor| tensor.name == name);
        found.ok_or_else(|| format!("no tensor {name}"))
    }

    fn tensor(&mut self, name: &str) -> Result<&mut Tensor, String> {
        let at = self.find(name)?;
        Ok(&mut self.tensors[at])
    }

    fn add(&mut self, rest: &str) -> Done {
        let [format, shape, name] = words(rest)?;
        let (format, shape) = (format_of(format)?, shape_of(shape)?);
        let mut tensor = Tensor { name: name.into(), format, shape, data: Vec::new() };
        tensor.clear()?;
        self.tensors.push(tensor);
        Ok(())
    }

    fn reshape(&mut self, rest: &str) -> Done {
        let [shape, name] = words(rest)?;
        let tensor = self.tensor(name)?;
        tensor.shape = shape_of(shape)?;
        tensor.clear()
    }

    fn retype(&mut self, rest: &str) -> Done {
        let [format, name] = words(rest)?;
        let tensor = self.tensor(name)?;
        tensor.format = format_of(format)?;
        tensor.clear()
    }

    fn bytes(&mut self, rest: &str) -> Done {
        let (name, pattern) = rest.split_once(' ').ok_or("wants TENSOR HH…")?;
        let pattern = hex(pattern)?;
        let tensor = self.tensor(name)?;
        let pattern = pattern.iter().cycle();
        tensor.data.iter_mut().zip(pattern).for_each(|(byte, new)| *byte = *new);
        Ok(())
    }

    fn block(&mut self, rest: &str) -> Done {
        let [name, at, pattern] = words(rest)?;
        let (at, pattern) = (count_of(at)?, hex(pattern)?);
        let tensor = self.tensor(name)?;
        for block in tensor.data.chunks_exact_mut(tensor.format.block_bytes) {
            let place = block.get_mut(at..at + pattern.len()).ok_or("beyond the block")?;
            place.copy_from_slice(&pattern);
        }
        Ok(())
    }
}

impl Tensor {
    /// Zeros, as many as format and shape want.
    fn clear(&mut self) -> Done {
        let bytes = data_bytes(self.format, &self.shape).map_err(|(_, why)| why)?;
        self.data = vec![0; bytes as usize];
        Ok(())
    }
}

/// `N` words; the last takes what is left, spaces included.
fn words<const N: usize>(rest: &str) -> Result<[&str; N], String> {
    let words: Vec<&str> = rest.splitn(N, ' ').collect();
    words.try_into().map_err(|_| format!("wants {N} words"))
}

fn count_of(text: &str) -> Result<usize, String> {
    usize::try_from(integer(text)?).map_err(|e| format!("'{text}': {e}"))
}

fn format_of(name: &str) -> Result<&'static Format, String> {
    quant::by_name(name).ok_or_else(|| format!("no format {name}"))
}

fn shape_of(text: &str) -> Result<Vec<u64>, String> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let dims = inner.ok_or("wants [D,…]")?.split(',');
    dims.map(|dim| dim.parse().map_err(|e| format!("'{dim}': {e}"))).collect()
}

fn hex(text: &str) -> Result<Vec<u8>, String> {
    let byte = |text: &str| u8::from_str_radix(text, 16).map_err(|e| format!("'{text}': {e}"));
    text.split(' ').map(byte).collect()
}

fn scalar(kind: &str, text: &str) -> Result<Value, String> {
    fn whole<N: TryFrom<i128>>(text: &str) -> Result<N, String> {
        N::try_from(integer(text)?).map_err(|_| format!("{text} does not fit"))
    }
    let float = |text: &str| text.parse::<f64>().map_err(|e| format!("'{text}': {e}"));
    Ok(match kind {
        "u8" => whole::<u8>(text)?.into(),
        "i8" => whole::<i8>(text)?.into(),
        "u16" => whole::<u16>(text)?.into(),
        "i16" => whole::<i16>(text)?.into(),
        "u32" => whole::<u32>(text)?.into(),
        "i32" => whole::<i32>(text)?.into(),
        "u64" => whole::<u64>(text)?.into(),
        "i64" => whole::<i64>(text)?.into(),
        "f32" => (float(text)? as f32).into(),
        "f64" => float(text)?.into(),
        "bool" => (integer(text)? != 0).into(),
        "str" => Value::String(unescape(text)?.into()),
        _ => return Err(format!("no type '{kind}'")),
    })
}

/// Values of one type as an array of it.
fn gather(kind: &str, values: Vec<Value>) -> Result<Value, String> {
    macro_rules! all {
        ($($name:literal $Variant:ident)*) => {
            match kind {
                $($name => {
                    let item = |value| match value {
                        Value::$Variant(item) => Ok(item),
                        other => Err(format!("{other} among {kind}")),
                    };
                    values.into_iter().map(item).collect::<Result<Vec<_>, _>>()?.into()
                })*
                "str" => {
                    let item = |value| match value {
                        Value::String(item) => Ok(item),
                        other => Err(format!("{other} among {kind}")),
                    };
                    let texts = values.into_iter().map(item).collect::<Result<Vec<_>, _>>()?;
                    texts.iter().collect::<Strings>().into()
                }
                _ => return Err(format!("no array of '{kind}'")),
            }
        };
    }
    Ok(all! { "u8" U8 "u32" U32 "i32" I32 "f32" F32 "u64" U64 })
}
