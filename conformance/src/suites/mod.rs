//! The registry of suites. A new suite is one file here and one line in `all`.

mod bench_smoke;
mod chat;
mod cli;
mod convert;
mod cpu;
mod cuda;
mod device;
mod formats;
mod forward;
mod fused;
mod gates;
pub mod gguf;
mod golden;
mod haiku;
mod hf_json;
mod infrastructure;
mod kernels;
mod lines;
mod loader;
mod memory;
mod model;
pub(crate) mod op;
mod perplexity;
mod random;
mod real;
mod repro;
mod sampler;
mod selftest;
mod synth;
mod text;
mod tidy;
pub(crate) mod tokenizer;
mod twins;
pub mod vectors;

pub use cuda::lose_the_device;
use harness::Case;

/// Every case there is on this machine.
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(bench_smoke::cases());
    cases.extend(chat::cases());
    cases.extend(cli::cases());
    cases.extend(convert::cases());
    cases.extend(cpu::cases());
    cases.extend(cuda::cases());
    cases.extend(device::cases());
    cases.extend(formats::cases());
    cases.extend(forward::cases());
    cases.extend(fused::cases());
    cases.extend(gates::cases());
    cases.extend(gguf::cases());
    cases.extend(golden::cases());
    cases.extend(haiku::cases());
    cases.extend(hf_json::cases());
    cases.extend(infrastructure::cases());
    cases.extend(kernels::cases());
    cases.extend(lines::cases());
    cases.extend(loader::cases());
    cases.extend(memory::cases());
    cases.extend(model::cases());
    cases.extend(op::cases());
    cases.extend(perplexity::cases());
    cases.extend(random::cases());
    cases.extend(real::cases());
    cases.extend(repro::cases());
    cases.extend(sampler::cases());
    cases.extend(selftest::cases());
    cases.extend(synth::cases());
    cases.extend(text::cases());
    cases.extend(tidy::cases());
    cases.extend(tokenizer::cases());
    cases.extend(twins::cases());
    cases.extend(vectors::cases());
    cases
}

/// Runs a synthetic suite if this process is a selftest's child. Both mains ask first.
pub fn selftest_child() -> Option<std::process::ExitCode> {
    selftest::child::main()
}
