//! Arrays of f32 as files that others read: NumPy's .npy and safetensors. Knows bytes only.

use serde_json::{Map, Value, json};

/// A .npy file, version 1.0.
pub(super) fn npy(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let dims: String = shape.iter().map(|dim| format!("{dim}, ")).collect();
    let mut head = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({dims}), }}");
    // Magic, version and length take ten bytes; the data begins at a multiple of 64.
    let padded = (10 + head.len() + 1).next_multiple_of(64) - 10;
    while head.len() + 1 < padded {
        head.push(' ');
    }
    head.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((head.len() as u16).to_le_bytes());
    file.extend(head.as_bytes());
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    file
}

/// A safetensors file of matrices.
pub(super) fn safetensors<'v>(
    tensors: impl Iterator<Item = (String, [usize; 2], &'v [f32])>,
) -> Vec<u8> {
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, shape, values) in tensors {
        let start = data.len();
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let info = json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, data.len()] });
        header.insert(name, info);
    }
    let mut head = Value::Object(header).to_string();
    while !head.len().is_multiple_of(8) {
        head.push(' ');
    }
    let mut file = (head.len() as u64).to_le_bytes().to_vec();
    file.extend(head.as_bytes());
    file.extend(data);
    file
}
