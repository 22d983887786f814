//! Our block formats against ggml's own row functions, bit for bit. Knows which recordings there
//! must be; the modules know the declared deviations, and assert of each exactly which elements
//! differ and how. Everything else must be equal.

mod decode;
mod encode;

use harness::Case;

const DECODED: [&str; 16] = [
    "BF16", "F16", "IQ4_NL", "IQ4_XS", "MXFP4", "NVFP4", "Q2_K", "Q3_K", "Q4_0", "Q4_1", "Q4_K",
    "Q5_0", "Q5_1", "Q5_K", "Q6_K", "Q8_0",
];
const ENCODED: [&str; 9] =
    ["MXFP4", "Q4_0", "Q4_1", "Q4_K", "Q5_0", "Q5_1", "Q5_K", "Q6_K", "Q8_0"];

pub(super) fn cases() -> Vec<Case> {
    let decode = |name: &'static str| {
        Case::new(format!("golden::quant::{name}::decode"), move |run| decode::judge(name, run))
    };
    let encode = |name: &'static str| {
        Case::new(format!("golden::quant::{name}::encode"), move |run| encode::judge(name, run))
    };
    DECODED.into_iter().map(decode).chain(ENCODED.into_iter().map(encode)).collect()
}

/// The path of a format's recording, relative to `golden/`.
fn path(name: &str) -> String {
    format!("quant/{name}.safetensors")
}
