//! Writes a small GGUF file: scalar metadata and tensors. Knows version 3 of that format, not what
//! a key or a tensor means.

/// A metadata value.
#[derive(Clone, Copy)]
pub(crate) enum Value {
    Count(u32),
    Number(f32),
    Text(&'static str),
}

/// One tensor's encoded bytes; the fastest dimension comes first, as the format has it.
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<u64>,
    /// ggml's number of its type.
    pub(crate) kind: u32,
    pub(crate) data: Vec<u8>,
}

const ALIGNMENT: usize = 32;

/// A whole file, in the order given.
pub(crate) fn file(keys: &[(String, Value)], tensors: &[Tensor]) -> Vec<u8> {
    let mut file = b"GGUF".to_vec();
    file.extend(3u32.to_le_bytes());
    file.extend((tensors.len() as u64).to_le_bytes());
    file.extend((keys.len() as u64).to_le_bytes());
    for (key, value) in keys {
        text(&mut file, key);
        let (kind, bytes) = match value {
            Value::Count(count) => (4u32, count.to_le_bytes().to_vec()),
            Value::Number(number) => (6, number.to_le_bytes().to_vec()),
            Value::Text(words) => {
                let mut bytes = Vec::new();
                text(&mut bytes, words);
                (8, bytes)
            }
        };
        file.extend(kind.to_le_bytes());
        file.extend(bytes);
    }
    let mut offset = 0usize;
    for tensor in tensors {
        text(&mut file, &tensor.name);
        file.extend((tensor.shape.len() as u32).to_le_bytes());
        file.extend(tensor.shape.iter().flat_map(|extent| extent.to_le_bytes()));
        file.extend(tensor.kind.to_le_bytes());
        file.extend((offset as u64).to_le_bytes());
        offset += tensor.data.len().next_multiple_of(ALIGNMENT);
    }
    for tensor in tensors {
        file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
        file.extend_from_slice(&tensor.data);
    }
    file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
    file
}

fn text(file: &mut Vec<u8>, words: &str) {
    file.extend((words.len() as u64).to_le_bytes());
    file.extend(words.bytes());
}
