//! `worker-orcd logits`: what a model thinks comes next, after every token of a prompt.

use super::compute::{ComputeArgs, Ready, Tokens, Work, write_file};
use super::{Output, arrays, human};
use crate::backend::{Backend, NoTaps};
use crate::batch::{ROWS, Role};
use crate::error::{Result, shown};
use crate::forward::{Context, Logits as Wanted, Runner};
use crate::kv::CachePlan;
use std::path::PathBuf;
use std::time::Instant;

const EXAMPLES: &str = "\
The file is NumPy's .npy: little-endian f32 of shape [tokens, vocabulary]; row t holds the logits
after token t. The ids are taken as they are: nothing is added in front.

Examples:
  worker-orcd logits model.gguf --tokens 1,450,7483 --out logits.npy
  worker-orcd logits model.gguf --tokens @ids.txt --profile llama.cpp --out logits.npy
  python3 -c 'import numpy; print(numpy.load(\"logits.npy\").argmax(1))'";

/// Write a model's logits after every token of a prompt
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Logits {
    #[command(flatten)]
    compute: ComputeArgs,

    /// The prompt as ids: 1,2,3, or @FILE with ids separated by white space
    #[arg(long, value_name = "IDS")]
    tokens: Tokens,

    /// The file to write
    #[arg(long, value_name = "FILE.npy")]
    out: PathBuf,
}

impl Logits {
    pub(super) fn run(&self, output: &mut Output) -> Result<()> {
        self.compute.run(self, output)
    }
}

impl Work for Logits {
    fn run<B: Backend>(&self, mut ready: Ready<B>, output: &mut Output) -> Result<()> {
        let tokens = &self.tokens.0;
        let architecture = &ready.model.architecture;
        let rows = ROWS.min(tokens.len());
        let plan = CachePlan::new(architecture, 1, tokens.len(), rows, ready.kv);
        let mut context = Context::new(&mut ready.backend, plan)?;
        let mut taps = NoTaps;
        let mut runner =
            Runner { backend: &mut ready.backend, model: &ready.model, taps: &mut taps };
        let start = Instant::now();
        let logits = context.extend(&mut runner, 0, tokens, Role::Prompt, Wanted::All)?;
        let seconds = start.elapsed().as_secs_f64();
        ready.file.verify_unchanged()?;
        let shape = [tokens.len(), architecture.n_vocab];
        write_file(&self.out, &arrays::npy(&shape, &logits))?;
        let (path, rate) = (self.out.as_os_str().as_encoded_bytes(), tokens.len() as f64 / seconds);
        let bytes = human::bytes(4 * logits.len() as u64);
        output.print(format!(
            "{}: {} × {} f32 ({bytes}), {rate:.1} tokens/s",
            shown(path),
            shape[0],
            shape[1]
        ))
    }
}
