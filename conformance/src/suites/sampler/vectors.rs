//! Suites `sampler` and `philox`. What a case gives is worked out by hand; the reference of this
//! suite must agree with it first, then the engine. Numbers are written as `exact` reads them.

use crate::exact;
use crate::reference::sampler::{self as reference, Rules};
use crate::suites::vectors::Vector;
use engine::sampler::{self, SamplerParams, Step};
use harness::vector::{CaseHead, Head};
use harness::{Failure, Run};
use schemars::JsonSchema;
use serde::Deserialize;

/// A row of logits, what to do with it, and what must come of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::suites) struct SamplerStep {
    /// One logit per token.
    logits: Vec<String>,
    /// The ids before.
    #[serde(default)]
    history: Vec<u32>,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    position: u64,
    #[serde(default)]
    temperature: Option<String>,
    #[serde(default)]
    top_k: u32,
    #[serde(default)]
    top_p: Option<String>,
    #[serde(default)]
    min_p: Option<String>,
    #[serde(default)]
    repetition_penalty: Option<String>,
    #[serde(default)]
    frequency_penalty: Option<String>,
    #[serde(default)]
    presence_penalty: Option<String>,
    #[serde(default)]
    penalty_window: Option<usize>,
    #[serde(default)]
    logit_bias: Vec<Bias>,
    #[serde(default)]
    top_logprobs: Option<usize>,
    /// Ids that are left, in order.
    #[serde(default)]
    kept: Vec<u32>,
    /// How often each of them is drawn, as whole numbers in proportion.
    #[serde(default)]
    odds: Vec<u32>,
    /// What is drawn for a number in [0, 1).
    #[serde(default)]
    draw: Vec<Draw>,
    /// What is chosen with the seed and the position.
    #[serde(default)]
    id: Option<u32>,
    /// Logprobs of the row itself, the likeliest first.
    #[serde(default)]
    likely: Vec<Likely>,
    /// The chosen token's odds in the same proportion.
    #[serde(default)]
    chosen_odds: Option<u32>,
    /// The sum of all odds of the row.
    #[serde(default)]
    odds_sum: Option<u32>,
    /// Parts of the refusal.
    #[serde(default)]
    error: Vec<String>,
}

/// A logit bias.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Bias {
    id: u32,
    add: String,
}

/// A number in [0, 1) and the token it draws.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Draw {
    u: String,
    id: u32,
}

/// A token and its odds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Likely {
    id: u32,
    odds: u32,
}

fn number(word: &Option<String>, otherwise: f32) -> Result<f32, Failure> {
    Ok(word.as_deref().map_or(Ok(otherwise), exact::float)?)
}

impl SamplerStep {
    fn params(&self) -> Result<SamplerParams, Failure> {
        let usual = SamplerParams::default();
        let bias = self.logit_bias.iter().map(|bias| Ok((bias.id, exact::float(&bias.add)?)));
        Ok(SamplerParams {
            temperature: number(&self.temperature, usual.temperature)?,
            top_k: self.top_k,
            top_p: number(&self.top_p, usual.top_p)?,
            min_p: number(&self.min_p, usual.min_p)?,
            repetition_penalty: number(&self.repetition_penalty, usual.repetition_penalty)?,
            frequency_penalty: number(&self.frequency_penalty, usual.frequency_penalty)?,
            presence_penalty: number(&self.presence_penalty, usual.presence_penalty)?,
            penalty_window: self.penalty_window.unwrap_or(usual.penalty_window),
            logit_bias: bias.collect::<Result<_, String>>()?,
            top_logprobs: self.top_logprobs,
        })
    }

    fn judge_refusal(&self, step: &Step, params: &SamplerParams) -> Result<(), Failure> {
        let error = match sampler::sample(step, params) {
            Ok(choice) => return Err(format!("accepted: {choice:?}").into()),
            Err(error) => error.to_string(),
        };
        match self.error.iter().find(|part| !error.contains(*part)) {
            None => Ok(()),
            Some(part) => Err(format!("refused without saying {part:?}: {error}").into()),
        }
    }

    /// Whether these tokens, with these probabilities, are the ones that the case wants.
    fn judge_kept(&self, who: &str, found: &[(u32, f64)], rel: f64) -> Result<(), Failure> {
        let ids: Vec<u32> = found.iter().map(|(id, _)| *id).collect();
        if !self.kept.is_empty() && ids != self.kept {
            return Err(format!("{who} keeps {ids:?}, must keep {:?}", self.kept).into());
        }
        if self.odds.is_empty() {
            return Ok(());
        }
        let sum: f64 = self.odds.iter().map(|odds| f64::from(*odds)).sum();
        let want = self.odds.iter().map(|odds| f64::from(*odds) / sum);
        let near = |((_, p), want): (&(u32, f64), f64)| (p - want).abs() <= rel * want;
        if found.len() != self.odds.len() || !found.iter().zip(want).all(near) {
            return Err(format!("{who} gives {found:?}, must be {:?} of {sum}", self.odds).into());
        }
        Ok(())
    }

    fn judge_logprobs(&self, choice: &sampler::Choice, rel: f64) -> Result<(), Failure> {
        let (Some(found), Some(sum)) = (&choice.logprobs, self.odds_sum) else {
            let asked = self.odds_sum.is_some() || choice.logprobs.is_some();
            return match asked {
                true => Err("logprobs need `top-logprobs` and `odds-sum`".into()),
                false => Ok(()),
            };
        };
        let near = |logprob: f64, odds: u32| {
            (logprob.exp() - f64::from(odds) / f64::from(sum)).abs() <= rel
        };
        let listed = found.top.len() == self.likely.len()
            && found
                .top
                .iter()
                .zip(&self.likely)
                .all(|(found, want)| found.id == want.id && near(found.logprob, want.odds));
        let chosen = found.chosen.id == choice.id
            && self.chosen_odds.is_some_and(|odds| near(found.chosen.logprob, odds));
        match listed && chosen {
            true => Ok(()),
            false => Err(format!(
                "{found:?}, must be {:?} and {:?} for the chosen, of {sum}",
                self.likely, self.chosen_odds
            )
            .into()),
        }
    }
}

/// The same rules for the reference.
pub(super) fn rules(params: &SamplerParams) -> Rules {
    Rules {
        temperature: params.temperature.into(),
        top_k: params.top_k as usize,
        top_p: params.top_p.into(),
        min_p: params.min_p.into(),
        repetition: params.repetition_penalty.into(),
        frequency: params.frequency_penalty.into(),
        presence: params.presence_penalty.into(),
        window: params.penalty_window,
        bias: params.logit_bias.iter().map(|(id, add)| (*id, f64::from(*add))).collect(),
    }
}

impl Vector for SamplerStep {
    const SUITE: &'static str = "sampler";

    fn judge(&self, head: &Head, _: &CaseHead, _: &mut Run) -> Result<(), Failure> {
        let logits = exact::floats(&self.logits)?;
        let params = self.params()?;
        let (seed, position) = (self.seed, self.position);
        let step = Step { logits: &logits, history: &self.history, seed, position };
        if !self.error.is_empty() {
            return self.judge_refusal(&step, &params);
        }
        let wants = [self.kept.len(), self.odds.len(), self.draw.len(), self.likely.len()];
        if wants.iter().all(|n| *n == 0) && self.id.is_none() && self.chosen_odds.is_none() {
            return Err("the case wants nothing".into());
        }
        let rel = head.budget.as_ref().and_then(|budget| budget.rel).unwrap_or(0.0);
        let by_hand = reference::distribution(&logits, &self.history, &rules(&params));
        self.judge_kept("the reference", &by_hand, rel)?;
        let candidates = sampler::candidates(&step, &params)?;
        self.judge_kept("the engine", &candidates.probabilities(), rel)?;
        for draw in &self.draw {
            let u = f64::from(exact::float(&draw.u)?);
            let drawn = [reference::pick(&by_hand, u), Some(candidates.draw(u))];
            if drawn != [Some(draw.id); 2] {
                let want = draw.id;
                return Err(format!("u = {u}: reference, engine {drawn:?}, must be {want}").into());
            }
        }
        let choice = sampler::sample(&step, &params)?;
        if let Some(want) = self.id.filter(|want| *want != choice.id) {
            return Err(format!("chose {}, must be {want}", choice.id).into());
        }
        self.judge_logprobs(&choice, rel)
    }
}

/// Philox's counter, key and output, in hex words.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::suites) struct PhiloxBlock {
    counter: String,
    key: String,
    want: String,
}

fn words<const N: usize>(text: &str) -> Result<[u32; N], Failure> {
    let read = text.split_whitespace().map(|word| u32::from_str_radix(word, 16));
    let words = read.collect::<Result<Vec<_>, _>>()?;
    let count = words.len();
    words.try_into().map_err(|_| format!("{count} words in '{text}', must be {N}").into())
}

impl Vector for PhiloxBlock {
    const SUITE: &'static str = "philox";

    fn judge(&self, _: &Head, _: &CaseHead, _: &mut Run) -> Result<(), Failure> {
        let (counter, key) = (words(&self.counter)?, words(&self.key)?);
        let want: [u32; 4] = words(&self.want)?;
        let found = [sampler::philox4x32(counter, key), reference::philox(counter, key)];
        match found == [want; 2] {
            true => Ok(()),
            false => Err(format!("engine, reference {found:08x?}, must be {want:08x?}").into()),
        }
    }
}
