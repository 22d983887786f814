//! Times llama.cpp the way its own `llama-bench` does: a prompt of random ids in one go, then ids
//! one by one, each from an empty cache, after one pass that nobody times. Knows nothing of ours.

use crate::llama::Model;
use crate::llama::session::{Cache, Rows, Session, Settings};
use crate::random::Random;
use crate::{Result, ggml};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

/// What is timed.
#[derive(Args)]
pub(crate) struct Bench {
    /// A GGUF file with weights
    #[arg(long)]
    model: PathBuf,
    /// Tokens of the prompt
    #[arg(short = 'p', long, default_value_t = 512)]
    n_prompt: usize,
    /// Tokens generated
    #[arg(short = 'n', long, default_value_t = 128)]
    n_gen: usize,
    /// Repetitions
    #[arg(short = 'r', long, default_value_t = 5)]
    repetitions: usize,
    #[arg(short = 't', long, default_value_t = 2)]
    threads: usize,
}

/// Prints one line of JSON.
pub(crate) fn run(bench: &Bench) -> Result<()> {
    let model = Model::load_for_speed(&bench.model)?;
    let n_ctx = bench.n_prompt.max(bench.n_gen);
    let settings = Settings { n_ctx, threads: bench.threads, cache: Cache::Fast };
    let mut session = Session::new(&model, settings, None)?;
    let n_vocab = model.n_vocab() as u64;
    let mut random = Random::new(0, "bench");
    let mut ids =
        |count: usize| -> Vec<i32> { (0..count).map(|_| random.below(n_vocab) as i32).collect() };
    let (prompt, generated) = (ids(bench.n_prompt), ids(bench.n_gen));
    let prefill = bench.measure(&mut session, bench.n_prompt, |session| {
        session.decode(&prompt, Rows::Last).map(drop)
    })?;
    let decode = bench.measure(&mut session, bench.n_gen, |session| {
        generated.iter().try_for_each(|id| session.decode(&[*id], Rows::Last).map(drop))
    })?;
    let answer = json!({
        "model": bench.model.display().to_string(),
        "oracle": ggml::provenance()["oracle"],
        "instruction-set": ggml::provenance()["instruction-set"],
        "threads": bench.threads,
        "n_prompt": bench.n_prompt,
        "n_gen": bench.n_gen,
        "pp_tok_s": prefill,
        "tg_tok_s": decode,
    });
    println!("{answer}");
    Ok(())
}

impl Bench {
    /// Tokens a second of every repetition, each from an empty cache.
    fn measure(
        &self,
        session: &mut Session<'_>,
        tokens: usize,
        pass: impl Fn(&mut Session<'_>) -> Result<()>,
    ) -> Result<Vec<f64>> {
        if tokens == 0 {
            return Ok(vec![]);
        }
        session.clear();
        pass(session)?;
        let mut speeds = Vec::new();
        for _ in 0..self.repetitions {
            session.clear();
            let start = Instant::now();
            pass(session)?;
            speeds.push(tokens as f64 / start.elapsed().as_secs_f64());
        }
        Ok(speeds)
    }
}
