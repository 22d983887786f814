//! Any bytes as a GGUF file: a refusal with a class, or a layout that the second opinion confirms.
#![no_main]

#[path = "../../src/suites/gguf/oracle.rs"]
mod oracle;

use engine::loader::gguf::Layout;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Layout::parse(bytes) {
        Ok(layout) => oracle::verify(bytes, &layout).unwrap(),
        Err(error) => assert!(error.class().is_some(), "not a refusal: {error}"),
    }
});
