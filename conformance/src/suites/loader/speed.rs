//! Heads as large as real ones, fast.

use super::{Scratch, equal};
use engine::loader::Gguf;
use engine::loader::gguf::{Strings, Writer};
use harness::{Case, Failure, Run};
use std::time::Instant;

/// The gate for opening a large vocabulary. Measured 10 to 22 ms; the rest is for machines
/// that are busy.
const VOCABULARY_MS: f64 = 100.0;

pub(super) fn cases() -> Vec<Case> {
    vec![Case::new("loader::speed::vocabulary-of-200000", vocabulary)]
}

/// As o200k has them: 200,000 tokens, types, and twice as many merges.
fn vocabulary(run: &mut Run) -> Result<(), Failure> {
    const TOKENS: usize = 200_000;
    let scratch = Scratch::new()?;
    let path = scratch.path("vocabulary.gguf");
    let tokens: Strings = (0..TOKENS).map(|n| format!("token-{n}")).collect();
    let merges: Strings = (0..2 * TOKENS).map(|n| format!("tok {n}")).collect();
    let mut writer = Writer::new();
    writer.set("tokenizer.ggml.tokens", tokens);
    writer.set("tokenizer.ggml.token_type", vec![1i32; TOKENS]);
    writer.set("tokenizer.ggml.merges", merges);
    writer.write(&path)?;
    let mut fastest = f64::INFINITY;
    for _ in 0..5 {
        let begin = Instant::now();
        let file = Gguf::open(&path)?;
        fastest = fastest.min(begin.elapsed().as_secs_f64() * 1e3);
        let tokens = file.metadata().strings("tokenizer.ggml.tokens")?;
        equal("tokens", tokens.len(), TOKENS)?;
        equal("last token", tokens.get(TOKENS - 1), Some(&b"token-199999"[..]))?;
    }
    run.figure("open", fastest, "ms");
    if fastest > VOCABULARY_MS {
        return Err(format!("{fastest:.1} ms to open, the limit is {VOCABULARY_MS} ms").into());
    }
    Ok(())
}
