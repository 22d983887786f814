//! `worker-orcd run`: a model goes on from a text, or answers it.

use super::answer::Answer;
use super::compute::{ComputeArgs, Ready, Work};
use super::{Output, chat_prompt, out_failed};
use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::sampler::SamplerParams;
use crate::session::Session;
use crate::tokenizer::{EncodeOptions, Tokenizer};
use serde_json::json;
use std::time::{Duration, Instant};

const EXAMPLES: &str = "\
The same command gives the same text, on any machine and with any number of threads: chance comes
from --seed and the place of a token alone. Speed is told on standard error, thinking too.

Examples:
  worker-orcd run model.gguf -p 'Once upon a time' -n 64
  worker-orcd run model.gguf -p 'Why is the sky blue?' --chat
  worker-orcd run model.gguf -p 'Once upon a time' --temp 0          always the likeliest token
  worker-orcd run model.gguf -p 'Once upon a time' --seed 7 --json | jq .text";

/// Let a model go on from a text
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Run {
    #[command(flatten)]
    compute: ComputeArgs,

    /// The text to go on from
    #[arg(short, long, value_name = "TEXT")]
    prompt: String,

    /// At most so many new tokens
    #[arg(short, long, value_name = "N", default_value_t = 128)]
    n_predict: usize,

    /// The text is a message to the model, in the frame of its own chat template
    #[arg(long)]
    chat: bool,

    /// The day that a chat template may show, YYYY-MM-DD [default: today]
    #[arg(long, value_name = "DATE", requires = "chat")]
    date: Option<chat_prompt::Date>,

    #[command(flatten)]
    sampling: Sampling,

    /// End where this text would appear; may be given several times
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,

    /// Print one line of JSON at the end instead of text as it comes
    #[arg(long)]
    json: bool,
}

/// How the next token is chosen.
#[derive(Debug, Clone, clap::Args)]
struct Sampling {
    /// 0 takes the likeliest token, 1 the model's own odds; at most 2
    #[arg(long, value_name = "T", default_value_t = 0.8)]
    temp: f32,

    /// Choose among the K likeliest; 0 among all
    #[arg(long, value_name = "K", default_value_t = 40)]
    top_k: u32,

    /// Choose among the likeliest whose probabilities reach P; 1 among all
    #[arg(long, value_name = "P", default_value_t = 0.95)]
    top_p: f32,

    /// Choose among those at least P times as likely as the likeliest; 0 among all
    #[arg(long, value_name = "P", default_value_t = 0.05)]
    min_p: f32,

    /// Make tokens of the last 64 less likely: positive logits are divided by it; 1 is off
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    repetition_penalty: f32,

    /// The same, taken off once for each time
    #[arg(long, value_name = "X", default_value_t = 0.0, allow_negative_numbers = true)]
    frequency_penalty: f32,

    /// The same, taken off once
    #[arg(long, value_name = "X", default_value_t = 0.0, allow_negative_numbers = true)]
    presence_penalty: f32,

    /// Where chance comes from
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
}

impl Sampling {
    fn params(&self) -> SamplerParams {
        SamplerParams {
            temperature: self.temp,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            frequency_penalty: self.frequency_penalty,
            presence_penalty: self.presence_penalty,
            ..SamplerParams::default()
        }
    }
}

/// What a generation came to.
struct Made {
    prompt: Vec<u32>,
    ids: Vec<u32>,
    /// `stop`: the model ended its turn or a stop string was met; `length`: there was no room.
    finish: &'static str,
    reading: Duration,
    writing: Duration,
}

impl Run {
    pub(super) fn run(&self, output: &mut Output) -> Result<()> {
        self.compute.run(self, output)
    }

    fn prompt_ids<B: Backend>(&self, ready: &Ready<B>, tokenizer: &Tokenizer) -> Result<Vec<u32>> {
        let ids = match self.chat {
            true => chat_prompt::ids(ready.file.metadata(), tokenizer, &self.prompt, self.date)?,
            false => tokenizer.encode(&self.prompt, EncodeOptions::TEXT)?,
        };
        match ids.is_empty() {
            true => Err(Error::Usage("the prompt is empty, and this model needs a token".into())),
            false => Ok(ids),
        }
    }

    /// Reads the prompt and chooses tokens until something ends it; `show` gets text as it comes.
    fn generate<B: Backend>(
        &self,
        ready: &mut Ready<B>,
        tokenizer: &Tokenizer,
        answer: &mut Answer,
        mut show: impl FnMut(&str) -> Result<()>,
    ) -> Result<Made> {
        let prompt = self.prompt_ids(ready, tokenizer)?;
        let params = self.sampling.params();
        params.check(ready.model.architecture.n_vocab)?;
        let total = (prompt.len() + self.n_predict).min(ready.model.architecture.n_ctx);
        let (total, kv) = (total.max(prompt.len()), ready.kv);
        let mut session = Session::new(&mut ready.backend, &ready.model, total, kv)?;
        let started = Instant::now();
        session.read(&prompt)?;
        let reading = started.elapsed();
        let started = Instant::now();
        let (mut ids, mut finish) = (Vec::new(), "length");
        while ids.len() < self.n_predict && !session.is_full() {
            let id = session.next(&params, self.sampling.seed)?.id;
            ids.push(id);
            if tokenizer.info().stops.contains(&id) {
                finish = "stop";
                break;
            }
            let (text, stopped) = answer.push(tokenizer, id)?;
            show(&text)?;
            if stopped {
                finish = "stop";
                break;
            }
        }
        show(&answer.finish())?;
        Ok(Made { prompt, ids, finish, reading, writing: started.elapsed() })
    }
}

impl Work for Run {
    fn run<B: Backend>(&self, mut ready: Ready<B>, output: &mut Output) -> Result<()> {
        let tokenizer = ready.tokenizer(&self.compute.load.tokenizer, output)?;
        let mut answer = Answer::new(&tokenizer, self.chat, &self.stop)?;
        let made = self.generate(&mut ready, &tokenizer, &mut answer, |text| {
            if !self.json && !text.is_empty() {
                write!(output.out, "{text}")
                    .and_then(|()| output.out.flush())
                    .map_err(out_failed)?;
            }
            Ok(())
        })?;
        ready.file.verify_unchanged()?;
        let reading = made.prompt.len() as f64 / made.reading.as_secs_f64();
        let writing = made.ids.len() as f64 / made.writing.as_secs_f64();
        if self.json {
            return output.print(json!({
                "model": ready.name,
                "text": answer.text,
                "thinking": (!answer.thinking.is_empty()).then_some(&answer.thinking),
                "finish": made.finish,
                "seed": self.sampling.seed,
                "kv": ready.kv.name(),
                "loading_seconds": ready.loading.as_secs_f64(),
                "prompt_ids": made.prompt,
                "ids": made.ids,
                "prompt_tokens_per_second": reading,
                "tokens_per_second": writing,
            }));
        }
        output.print("")?;
        if !answer.thinking.is_empty() {
            output.say(format!("thinking: {}", answer.thinking.trim()));
        }
        let (read, wrote) = (made.prompt.len(), made.ids.len());
        output.say(format!(
            "{wrote} tokens at {writing:.1}/s, behind a prompt of {read} at {reading:.1}/s"
        ));
        Ok(())
    }
}
