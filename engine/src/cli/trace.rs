//! `worker-orcd trace`: the rows between the steps of a pass, under llama.cpp's names for them.

use super::compute::{ComputeArgs, Ready, Tokens, Work, write_file};
use super::{Output, arrays};
use crate::backend::Backend;
use crate::backend::taps::{Recorder, Seen};
use crate::batch::Role;
use crate::error::{Error, Result, shown};
use crate::forward::{Context, Logits, Runner};
use crate::kv::CachePlan;
use regex::Regex;
use std::path::PathBuf;

const EXAMPLES: &str = "\
The file is safetensors: one f32 tensor of shape [rows, width] for each place, named as llama.cpp
names it: attn_norm-3, Qcur-3 (before the rotation), Qcur-3#1 (after it), kqv_out-3, ffn_inp-3,
ffn_moe_logits-3, l_out-3, result_output … The whole prompt is computed in one pass.

Examples:
  worker-orcd trace model.gguf --tokens 1,450,7483 --out t.safetensors
  worker-orcd trace model.gguf --tokens @ids.txt --taps '^(l_out|kqv_out)-' --out t.safetensors";

/// Write the rows between the steps of a pass
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Trace {
    #[command(flatten)]
    compute: ComputeArgs,

    /// The prompt as ids: 1,2,3, or @FILE with ids separated by white space
    #[arg(long, value_name = "IDS")]
    tokens: Tokens,

    /// Only places whose name this regular expression matches somewhere
    #[arg(long, value_name = "REGEX", default_value = "")]
    taps: Regex,

    /// The file to write
    #[arg(long, value_name = "FILE.safetensors")]
    out: PathBuf,
}

impl Trace {
    pub(super) fn run(&self, output: &mut Output) -> Result<()> {
        self.compute.run(self, output)
    }
}

impl Work for Trace {
    fn run<B: Backend>(&self, mut ready: Ready<B>, output: &mut Output) -> Result<()> {
        let tokens = &self.tokens.0;
        let (rows, architecture) = (tokens.len(), &ready.model.architecture);
        let plan = CachePlan::new(architecture, 1, rows, rows, ready.kv);
        let mut context = Context::new(&mut ready.backend, plan)?;
        let mut recorder = Recorder::new(|tap| self.taps.is_match(&tap.to_string()));
        let mut runner =
            Runner { backend: &mut ready.backend, model: &ready.model, taps: &mut recorder };
        context.extend(&mut runner, 0, tokens, Role::Prompt, Logits::All)?;
        ready.file.verify_unchanged()?;
        if recorder.seen.is_empty() {
            let pattern = shown(self.taps.as_str());
            return Err(Error::Usage(format!("--taps {pattern} matches no place of a pass")));
        }
        let tensors = recorder.seen.iter().map(|seen| {
            let shape = [seen.values.len() / seen.width, seen.width];
            (name(seen), shape, &seen.values[..])
        });
        write_file(&self.out, &arrays::safetensors(tensors))?;
        let (path, count) = (self.out.as_os_str().as_encoded_bytes(), recorder.seen.len());
        output.print(format!("{}: {count} places, {} tokens", shown(path), tokens.len()))
    }
}

/// The `K`th further tensor of a name is `NAME#K`.
fn name(seen: &Seen) -> String {
    match seen.occurrence {
        0 => seen.tap.to_string(),
        n => format!("{}#{n}", seen.tap),
    }
}
