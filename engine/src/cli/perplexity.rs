//! `worker-orcd perplexity`: how surprised a model is by a text.

use super::compute::{ComputeArgs, Ready, Work};
use super::progress::Progress;
use super::{Output, text};
use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::kv::Precision;
use crate::perplexity::{self, Perplexity as Measured, Settings};
use crate::tokenizer::{EncodeOptions, Tokenizer};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::time::Instant;

const EXAMPLES: &str = "\
The method is llama-perplexity's, so the numbers can be compared with its: the text is cut into
chunks of -c tokens, each is read from an empty past, and its second half is scored. A vocabulary
that begins texts with BOS has it in place of each chunk's first token. With --stride N, chunks of
c + N/2 tokens begin N apart and the last N tokens of each are scored.

The error is one standard error. The digest is over the ids as little-endian 32-bit numbers: two
runs whose digests differ measured different things.

Examples:
  worker-orcd perplexity model.gguf -f wiki.test.raw
  worker-orcd perplexity model.gguf -f wiki.test.raw -c 2048 --chunks 8 --json
  worker-orcd perplexity model.gguf -f wiki.test.raw --profile llama.cpp    to compare with it";

/// Measure how surprised a model is by a text
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Perplexity {
    #[command(flatten)]
    compute: ComputeArgs,

    /// The text; - reads standard input
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,

    /// Tokens of a chunk
    #[arg(short, long, value_name = "N", default_value_t = 512)]
    context: usize,

    /// At most so many chunks [default: all]
    #[arg(long, value_name = "N")]
    chunks: Option<usize>,

    /// Let chunks overlap: begin one every N tokens and score its last N
    #[arg(long, value_name = "N")]
    stride: Option<usize>,

    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

impl Perplexity {
    pub(super) fn run(&self, output: &mut Output) -> Result<()> {
        self.compute.run(self, output)
    }

    fn settings(&self, tokenizer: &Tokenizer, kv: Precision) -> Result<Settings> {
        let info = tokenizer.info();
        if info.add_eos {
            let detail = "this vocabulary ends every text with EOS; llama-perplexity measures none \
                          of that kind, so there is nothing to compare with";
            return Err(Error::Usage(detail.into()));
        }
        let bos = info.special("bos").filter(|_| info.add_bos);
        Ok(Settings { context: self.context, chunks: self.chunks, stride: self.stride, bos, kv })
    }
}

impl Work for Perplexity {
    fn run<B: Backend>(&self, mut ready: Ready<B>, output: &mut Output) -> Result<()> {
        let tokenizer = ready.tokenizer(&self.compute.load.tokenizer, output)?;
        let settings = self.settings(&tokenizer, ready.kv)?;
        let ids = tokenizer.encode(text::read(&self.file)?, EncodeOptions::TEXT)?;
        let cut = settings.cut(ids.len())?;
        let mut bar = Progress::steps(cut.chunks);
        let start = Instant::now();
        let measured =
            perplexity::measure(&mut ready.backend, &ready.model, &ids, &settings, |so_far| {
                bar.say(format!("perplexity {:.4}", so_far.value()));
                bar.add(1);
            })?;
        drop(bar);
        let rate = measured.read as f64 / start.elapsed().as_secs_f64();
        ready.file.verify_unchanged()?;
        let report = Report { measured, cut, ids: &ids, rate };
        match self.json {
            true => output.print(report.json(self, &ready.name)),
            false => output.print(report.text()),
        }
    }
}

struct Report<'r> {
    measured: Measured,
    cut: perplexity::Cut,
    ids: &'r [u32],
    rate: f64,
}

impl Report<'_> {
    fn digest(&self) -> String {
        let mut hash = Sha256::new();
        self.ids.iter().for_each(|id| hash.update(id.to_le_bytes()));
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn text(&self) -> String {
        let Report { measured, cut, ids, rate } = self;
        let error = measured.error().map_or(String::new(), |error| format!(" ± {error:.5}"));
        format!(
            "perplexity {:.4}{error}\n\
             scored {} of {} tokens, in {} chunks of {}; {rate:.1} tokens/s\n\
             ids sha256 {}",
            measured.value(),
            measured.scored,
            ids.len(),
            measured.chunks,
            cut.length,
            self.digest()
        )
    }

    fn json(&self, asked: &Perplexity, model: &str) -> serde_json::Value {
        json!({
            "model": model,
            "perplexity": self.measured.value(),
            "error": self.measured.error(),
            "context": asked.context,
            "stride": asked.stride,
            "chunk_tokens": self.cut.length,
            "chunks": self.measured.chunks,
            "tokens": self.ids.len(),
            "tokens_scored": self.measured.scored,
            "ids_sha256": self.digest(),
            "tokens_per_second": self.rate,
        })
    }
}
