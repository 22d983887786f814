//! The registry of suites. A new suite is one file here and one line in `all`.

mod bench_smoke;
mod chat;
mod formats;
pub mod gguf;
mod golden;
mod infrastructure;
mod loader;
mod selftest;
mod text;
mod tidy;
mod tokenizer;
mod twins;
pub mod vectors;

use harness::Case;

/// Every case there is on this machine.
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(bench_smoke::cases());
    cases.extend(formats::cases());
    cases.extend(chat::cases());
    cases.extend(gguf::cases());
    cases.extend(golden::cases());
    cases.extend(infrastructure::cases());
    cases.extend(selftest::cases());
    cases.extend(text::cases());
    cases.extend(loader::cases());
    cases.extend(tidy::cases());
    cases.extend(twins::cases());
    cases.extend(tokenizer::cases());
    cases.extend(vectors::cases());
    cases
}
