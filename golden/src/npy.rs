//! Writes a matrix of floats as a NumPy file. Knows version 1.0 of that format, nothing else.

/// Rows of `width` values.
pub(crate) fn matrix(values: &[f32], width: usize) -> Vec<u8> {
    let rows = values.len() / width;
    let mut header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {width}), }}");
    // Magic, version and length take ten bytes; readers that map want the data at a multiple of 64.
    let padded = (header.len() + 11).next_multiple_of(64) - 10;
    header.push_str(&" ".repeat(padded - 1 - header.len()));
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.bytes());
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    file
}
