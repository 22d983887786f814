//! `property::sampler::` — on rows that nobody chose, ties and extremes among them, the engine does
//! what the reference does.

use super::{reference_is_judged, vectors};
use crate::exact;
use crate::property;
use crate::reference::sampler::{self as reference, Rules};
use engine::sampler::{self, SamplerParams, Step};
use harness::{Case, Failure};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};

/// Everything one choice is made from.
#[derive(Debug, Clone)]
struct Input {
    logits: Vec<f32>,
    history: Vec<u32>,
    seed: u64,
    position: u64,
    params: SamplerParams,
}

impl Input {
    fn step(&self) -> Step<'_> {
        let Input { logits, history, seed, position, .. } = self;
        Step { logits, history, seed: *seed, position: *position }
    }

    fn to_vector(&self) -> String {
        let words = |values: &[f32]| -> Vec<String> {
            values.iter().map(|value| exact::text(*value)).collect()
        };
        let p = &self.params;
        let bias: Vec<String> = p
            .logit_bias
            .iter()
            .map(|(id, add)| format!("{{ id = {id}, add = \"{}\" }}", exact::text(*add)))
            .collect();
        let numbers = [
            ("temperature", p.temperature),
            ("top-p", p.top_p),
            ("min-p", p.min_p),
            ("repetition-penalty", p.repetition_penalty),
            ("frequency-penalty", p.frequency_penalty),
            ("presence-penalty", p.presence_penalty),
        ];
        let numbers = numbers.map(|(name, value)| format!("{name} = \"{}\"\n", exact::text(value)));
        format!(
            "logits = [\"{}\"]\nhistory = {:?}\nseed = {}\nposition = {}\ntop-k = {}\n{}\
             penalty-window = {}\nlogit-bias = [{}]\n",
            words(&self.logits).join(" "),
            self.history,
            self.seed,
            self.position,
            p.top_k,
            numbers.concat(),
            p.penalty_window,
            bias.join(", ")
        )
    }
}

fn logit() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => -30.0_f32..30.0,
        2 => (-3_i8..4).prop_map(f32::from),
        1 => prop_oneof![
            Just(0.0), Just(-0.0), Just(f32::MAX), Just(f32::MIN), Just(1e-45), Just(-1e30),
            Just(1e4), Just(-1e4),
        ],
    ]
}

/// Rows that end inside of a block and of a lane, and rows of several blocks.
fn row() -> impl Strategy<Value = Vec<f32>> {
    let drawn = prop_oneof![4 => vec(logit(), 1..40), 1 => vec(logit(), 250..700)];
    // Real rows have no extremes; without these nearly every long row would have one that decides.
    let calm = vec(-12.0_f32..12.0, 250..1500);
    prop_oneof![3 => drawn, 2 => calm]
}

fn fraction(off: f32) -> impl Strategy<Value = f32> {
    prop_oneof![2 => Just(off), 4 => 0.0_f32..=1.0, 1 => Just(0.0), 1 => Just(1.0),
        1 => Just(1.0 - f32::EPSILON / 2.0), 1 => Just(1e-45)]
}

fn params() -> impl Strategy<Value = SamplerParams> {
    let temperature =
        prop_oneof![1 => Just(0.0), 1 => Just(1e-45), 2 => Just(1.0), 4 => 0.01_f32..=2.0];
    let top_k = prop_oneof![2 => Just(0_u32), 4 => 1_u32..50, 1 => Just(u32::MAX)];
    let repetition = prop_oneof![2 => Just(1.0_f32), 3 => 0.5_f32..2.0, 1 => Just(1e-45)];
    let shift = || prop_oneof![2 => Just(0.0_f32), 2 => -2.0_f32..=2.0];
    let window = prop_oneof![Just(0_usize), 1_usize..20, Just(usize::MAX)];
    let truncation = (top_k, fraction(1.0), fraction(0.0));
    (temperature, truncation, (repetition, shift(), shift(), window)).prop_map(
        |(temperature, (top_k, top_p, min_p), (repetition, frequency, presence, window))| {
            SamplerParams {
                temperature,
                top_k,
                top_p,
                min_p,
                repetition_penalty: repetition,
                frequency_penalty: frequency,
                presence_penalty: presence,
                penalty_window: window,
                ..SamplerParams::default()
            }
        },
    )
}

fn input() -> impl Strategy<Value = Input> {
    let bias =
        prop_oneof![2 => Just(Vec::new()), 1 => vec((any::<u32>(), -100.0_f32..=100.0), 1..4)];
    let history = vec(any::<u32>(), 0..30);
    (row(), history, any::<u64>(), any::<u64>(), params(), bias, 0_usize..=20).prop_map(
        |(logits, history, seed, position, mut params, bias, top)| {
            let n_vocab = logits.len() as u32;
            let mut bias: Vec<(u32, f32)> = bias.iter().map(|(id, b)| (id % n_vocab, *b)).collect();
            bias.sort_by_key(|(id, _)| *id);
            bias.dedup_by_key(|(id, _)| *id);
            (params.logit_bias, params.top_logprobs) = (bias, Some(top));
            let history = history.into_iter().map(|id| id % n_vocab).collect();
            Input { logits, history, seed, position, params }
        },
    )
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, check: fn(&Input) -> Result<(), Failure>| {
        property::case_with(
            &format!("property::sampler::{name}"),
            input(),
            Input::to_vector,
            move |input| {
                reference_is_judged()?;
                check(input)
            },
        )
    };
    vec![
        case("as-the-reference", as_the_reference),
        case("draws-as-the-reference", draws),
        case("logprobs-are-the-rows-own", logprobs).requirements(["C21"]),
        case("same-input-same-choice", pure),
    ]
}

/// The rules, and the rules moved by less than anyone could mean: where a sum meets a bound within
/// rounding, either side is right.
fn close_rules(params: &SamplerParams) -> Vec<Rules> {
    let rules = vectors::rules(params);
    let mut all = Vec::new();
    for top_p in [1.0, 1.0 - 1e-11, 1.0 + 1e-11] {
        for min_p in [1.0, 1.0 - 1e-11, 1.0 + 1e-11] {
            let (top_p, min_p) = (rules.top_p * top_p, rules.min_p * min_p);
            all.push(Rules { top_p, min_p: min_p.min(1.0), ..rules.clone() });
        }
    }
    // A sum of everything may end a little below 1, and 1 is off.
    all.retain(|close| (close.top_p < 1.0) == (rules.top_p < 1.0));
    all
}

fn as_the_reference(input: &Input) -> Result<(), Failure> {
    let found = sampler::candidates(&input.step(), &input.params)?.probabilities();
    let sum: f64 = found.iter().map(|(_, p)| p).sum();
    if found.is_empty() || (sum - 1.0).abs() > 1e-12 {
        return Err(format!("{} candidates, probabilities sum to {sum}", found.len()).into());
    }
    let mut wants = Vec::new();
    for rules in close_rules(&input.params) {
        let want = reference::distribution(&input.logits, &input.history, &rules);
        let same = want.len() == found.len()
            && want.iter().zip(&found).all(|(want, found)| {
                want.0 == found.0 && (want.1 - found.1).abs() <= 1e-12 + 1e-12 * want.1
            });
        if same {
            return Ok(());
        }
        wants.push(want);
    }
    Err(format!("engine {found:?}\nreference {:?}", wants.first()).into())
}

fn draws(input: &Input) -> Result<(), Failure> {
    let candidates = sampler::candidates(&input.step(), &input.params)?;
    let kept = candidates.probabilities();
    let chosen = sampler::sample(&input.step(), &input.params)?.id;
    let u = reference::uniform(input.seed, input.position);
    let edge = [0.0, 0.5, 1.0 - f64::EPSILON / 2.0].map(|u| (u, candidates.draw(u)));
    for (u, id) in edge.into_iter().chain([(u, chosen)]) {
        let near = [u, u - 1e-12, u + 1e-12].map(|u| reference::pick(&kept, u));
        let last = kept.iter().rev().find(|(_, p)| *p > 0.0).map(|(id, _)| *id);
        let rounded_past_the_end = u > 1.0 - 1e-12 && last == Some(id);
        if !near.contains(&Some(id)) && !rounded_past_the_end {
            return Err(format!("u = {u} draws {id}, must be of {near:?}").into());
        }
        if !kept.iter().any(|(kept, p)| *kept == id && *p > 0.0) {
            return Err(format!("u = {u} draws {id}, which has no probability").into());
        }
    }
    Ok(())
}

fn logprobs(input: &Input) -> Result<(), Failure> {
    let choice = sampler::sample(&input.step(), &input.params)?;
    let found = choice.logprobs.as_ref().ok_or("no logprobs")?;
    let want = reference::logprobs(&input.logits);
    let listed: Vec<u32> = found.top.iter().map(|logprob| logprob.id).collect();
    let top = input.params.top_logprobs.unwrap_or(0);
    if listed != reference::likeliest(&input.logits, top) || found.chosen.id != choice.id {
        return Err(format!("lists {listed:?} and {} of {choice:?}", found.chosen.id).into());
    }
    for logprob in found.top.iter().chain([&found.chosen]) {
        let want = want[logprob.id as usize];
        let off = (logprob.logprob - want).abs();
        if !logprob.logprob.is_finite() || off > 1e-12 + 1e-15 * want.abs() {
            return Err(format!("{logprob:?}, must be {want}").into());
        }
    }
    if top >= input.logits.len() {
        let sum: f64 = found.top.iter().map(|logprob| logprob.logprob.exp()).sum();
        if (sum - 1.0).abs() > 1e-12 {
            return Err(format!("all probabilities sum to {sum}").into());
        }
    }
    // Nothing that is done to the row may show.
    let plain = SamplerParams { top_logprobs: Some(top), ..SamplerParams::default() };
    let plain = sampler::sample(&input.step(), &plain)?.logprobs.ok_or("no logprobs")?;
    match plain.top == found.top && (plain.chosen.id != choice.id || plain.chosen == found.chosen) {
        true => Ok(()),
        false => Err(format!("{found:?}, but with default parameters {plain:?}").into()),
    }
}

fn pure(input: &Input) -> Result<(), Failure> {
    let first = sampler::sample(&input.step(), &input.params)?;
    // Another memory, another call in between.
    let copy = input.clone();
    sampler::sample(&Step { seed: !input.seed, ..copy.step() }, &SamplerParams::greedy())?;
    let again = sampler::sample(&copy.step(), &copy.params)?;
    match again == first {
        true => Ok(()),
        false => Err(format!("{first:?}, then {again:?}").into()),
    }
}
