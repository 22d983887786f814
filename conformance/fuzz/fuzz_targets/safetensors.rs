//! Any bytes as a safetensors file: a refusal with a class, or tensors that lie where a JSON parser
//! of another make says they lie.
#![no_main]

use engine::loader::safetensors::Layout;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    match Layout::parse(bytes) {
        Ok(layout) => verify(bytes, &layout),
        Err(error) => assert!(error.class().is_some(), "not a refusal: {error}"),
    }
});

fn verify(bytes: &[u8], layout: &Layout) {
    let data_start = layout.data_start as usize;
    let header: Value = serde_json::from_slice(&bytes[8..data_start]).unwrap();
    let entries = header.as_object().unwrap();
    let described = entries.keys().filter(|name| *name != "__metadata__").count();
    assert_eq!(described, layout.tensors.len(), "as many tensors as the header describes");
    let mut free_from = 0;
    for info in &layout.tensors {
        let entry = &entries[&info.name];
        let offsets: Vec<u64> = numbers(&entry["data_offsets"]);
        assert_eq!(offsets, [info.offset, info.offset + info.bytes], "{}", info.name);
        assert_eq!(entry["dtype"], info.dtype.name, "{}", info.name);
        assert_eq!(numbers(&entry["shape"]), info.shape, "{}", info.name);
        let elements = info.shape.iter().fold(1u128, |all, dim| all * u128::from(*dim));
        assert_eq!(elements * u128::from(info.dtype.bits), u128::from(info.bytes) * 8);
        assert!(info.offset >= free_from, "{} overlaps the tensor before it", info.name);
        free_from = info.offset + info.bytes;
        assert!(layout.tensor(&info.name).is_some(), "{} is there, and is not found", info.name);
    }
    assert!(free_from <= (bytes.len() - data_start) as u64, "the data ends behind the file");
}

fn numbers(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect()
}
