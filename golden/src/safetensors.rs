//! Writes and reads back the little of safetensors that recordings need: named U8, U16, I32 and
//! F32 tensors and string metadata, in a byte-stable order.

use crate::Result;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// One named tensor's bytes.
#[derive(Clone, PartialEq)]
pub(crate) struct Tensor {
    pub(crate) dtype: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<u8>,
}

impl Tensor {
    pub(crate) fn bytes(shape: &[usize], data: Vec<u8>) -> Self {
        Self { dtype: "U8".into(), shape: shape.into(), data }
    }

    pub(crate) fn floats(shape: &[usize], values: &[f32]) -> Self {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { dtype: "F32".into(), shape: shape.into(), data }
    }

    /// Of an F32 tensor.
    pub(crate) fn values(&self) -> Vec<f32> {
        self.data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    /// Token ids, in two bytes each where the vocabulary is small enough.
    pub(crate) fn ids(ids: &[i32]) -> Self {
        let shape = [1, ids.len()];
        let small: Option<Vec<u16>> = ids.iter().map(|id| u16::try_from(*id).ok()).collect();
        let Some(small) = small else { return Self::ints(&shape, ids) };
        let data = small.iter().flat_map(|id| id.to_le_bytes()).collect();
        Self { dtype: "U16".into(), shape: shape.into(), data }
    }

    pub(crate) fn ints(shape: &[usize], values: &[i32]) -> Self {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { dtype: "I32".into(), shape: shape.into(), data }
    }
}

/// Bytes of an element.
pub(crate) fn width(dtype: &str) -> usize {
    match dtype {
        "U8" => 1,
        "U16" => 2,
        _ => 4,
    }
}

/// A whole file.
#[derive(Default)]
pub(crate) struct File {
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) tensors: BTreeMap<String, Tensor>,
}

impl File {
    pub(crate) fn write(&self) -> Result<Vec<u8>> {
        let mut header = Map::new();
        header.insert("__metadata__".into(), json!(self.metadata));
        let mut data = Vec::new();
        // The widest first, so that all are aligned in a mapped file whatever the others measure.
        let mut tensors: Vec<_> = self.tensors.iter().collect();
        tensors.sort_by_key(|(_, tensor)| std::cmp::Reverse(width(&tensor.dtype)));
        for (name, Tensor { dtype, shape, data: bytes }) in tensors {
            let end = data.len() + bytes.len();
            let info = json!({"dtype": dtype, "shape": shape, "data_offsets": [data.len(), end]});
            header.insert(name.clone(), info);
            data.extend_from_slice(bytes);
        }
        let mut text = serde_json::to_string(&header)?;
        // Readers that map the file want the data aligned to eight bytes.
        text.push_str(&" ".repeat(text.len().next_multiple_of(8) - text.len()));
        let length = (text.len() as u64).to_le_bytes();
        Ok([&length[..], text.as_bytes(), &data].concat())
    }

    /// For `diff`; what it reads was written by `write`, or is reported as unreadable.
    pub(crate) fn read(file: &[u8]) -> Result<Self> {
        let (length, rest) = file.split_first_chunk().ok_or("shorter than its header length")?;
        let length = usize::try_from(u64::from_le_bytes(*length))?;
        let (text, data) = rest.split_at_checked(length).ok_or("shorter than its header")?;
        let mut read = Self::default();
        for (name, info) in serde_json::from_slice::<Map<String, Value>>(text)? {
            if name == "__metadata__" {
                read.metadata = serde_json::from_value(info)?;
                continue;
            }
            let [start, end]: [usize; 2] = serde_json::from_value(info["data_offsets"].clone())?;
            let bytes = data.get(start..end).ok_or("data offsets beyond the end")?;
            let tensor = Tensor {
                dtype: serde_json::from_value(info["dtype"].clone())?,
                shape: serde_json::from_value(info["shape"].clone())?,
                data: bytes.to_vec(),
            };
            read.tensors.insert(name, tensor);
        }
        Ok(read)
    }
}
