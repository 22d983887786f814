//! Tokens that the device chooses itself, rows queued ahead, are those that the sampler chooses
//! from the logits: greedily and by chance, in a fused step and out of composed verbs; and whoever
//! changes the rules in the middle gets what a sequence has that never ran ahead.

use super::subject;
use crate::models;
use crate::subject::{Feed, Machine, OnCpu, OnCuda, Subject, fixtures};
use engine::backend::{Backend, NoTaps};
use engine::batch::Role;
use engine::forward::Logits;
use engine::kv::Precision;
use engine::profile::Profile;
use engine::sampler::{self, SamplerParams, Step};
use engine::session::Session;
use engine::synth::{Options, Plan};
use harness::{Case, Failure};
use std::path::{Path, PathBuf};

const TOKENS: usize = 60;
const PROMPT: [u32; 5] = [3, 141, 59, 26, 5];
const SEED: u64 = 20_260_828;

/// How each token is to be chosen.
type Rules = fn(usize) -> SamplerParams;

const RULES: [(&str, Rules); 9] = [
    ("greedy", |_| SamplerParams::greedy()),
    ("by-chance", |_| heat(1.3)),
    ("by-little-chance", |_| heat(0.05)),
    ("among-forty", |_| SamplerParams { top_k: 40, top_p: 0.95, min_p: 0.05, ..heat(0.8) }),
    ("among-many", |_| SamplerParams { top_k: 200, ..heat(1.5) }),
    ("by-min-p", |_| SamplerParams { top_k: 100, min_p: 0.2, ..heat(2.0) }),
    ("by-top-p", |_| SamplerParams { top_k: 256, top_p: 0.9999, ..heat(2.0) }),
    ("half", |_| SamplerParams { top_k: 64, top_p: 0.5, min_p: 0.01, ..heat(1.0) }),
    ("now-this-way-now-that", changing),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, rules) in RULES {
        let fused = format!("cuda::fused::chooses-as-the-sampler::{name}");
        cases.push(Case::new(fused, move |_| {
            let (mut subject, _folder) = subject()?;
            same(&mut subject, rules)
        }));
        for (model, path) in fixtures() {
            let composed = format!("cuda::choose::{model}::{name}");
            cases.push(Case::new(composed, move |_| {
                let mut subject =
                    Subject::open(OnCuda::open()?, &path, Profile::Reference, |_| ())?;
                same(&mut subject, rules)
            }));
        }
        let many = format!("cuda::choose::many-ids::{name}");
        cases.push(Case::new(many, move |_| among_many::<OnCuda>(rules)));
    }
    cases
}

/// The same where the sampler has to choose for a backend that does not.
pub(super) fn on_cpu() -> Vec<Case> {
    let case = |(name, rules): (&str, Rules)| {
        Case::new(format!("cpu::choose::many-ids::{name}"), move |_| among_many::<OnCpu>(rules))
    };
    RULES.into_iter().map(case).collect()
}

/// As many ids as a real vocabulary has: a device then looks at them with many blocks at once.
const MANY: u32 = 40_001;

fn among_many<M: Machine>(rules: Rules) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let path = with_many_ids(folder.path())?;
    same(&mut Subject::open(M::open()?, &path, Profile::Reference, |_| ())?, rules)
}

fn with_many_ids(folder: &Path) -> Result<PathBuf, Failure> {
    let mut description = models::description("llama-mqa")?;
    let few = u64::from(std::mem::replace(&mut description.vocabulary.size, MANY));
    for tensor in &mut description.tensors {
        tensor.shape.iter_mut().filter(|dim| **dim == few).for_each(|dim| *dim = MANY.into());
    }
    let path = folder.join("many-ids.gguf");
    std::fs::write(&path, models::bytes(&Plan::new(&description, &Options::default())?, 1)?)?;
    Ok(path)
}

fn heat(temperature: f32) -> SamplerParams {
    SamplerParams { temperature, ..SamplerParams::default() }
}

/// Some of these need the host.
fn changing(at: usize) -> SamplerParams {
    match at / 7 % 4 {
        0 => SamplerParams::greedy(),
        1 => SamplerParams { top_k: 5, ..heat(0.7) },
        2 => heat(0.9),
        _ => SamplerParams { repetition_penalty: 1.2, ..SamplerParams::greedy() },
    }
}

fn same<B: Backend>(
    subject: &mut Subject<B>,
    rules: impl Fn(usize) -> SamplerParams,
) -> Result<(), Failure> {
    let total = PROMPT.len() + TOKENS;
    let want = step_by_step(subject, total, &rules)?;
    let Subject { backend, model } = subject;
    let mut session = Session::new(backend, model, total, Precision::F16)?;
    session.read(&PROMPT)?;
    for at in 0..TOKENS {
        session.next(&rules(at), SEED)?;
    }
    match (session.ids() == want, session.is_full()) {
        (true, true) => Ok(()),
        (true, false) => Err("there is room where none should be".into()),
        (false, _) => Err(format!("ids {:?}\nwant {want:?}", session.ids()).into()),
    }
}

/// Every row read, every id chosen by the sampler.
fn step_by_step<B: Backend>(
    subject: &mut Subject<B>,
    total: usize,
    rules: &impl Fn(usize) -> SamplerParams,
) -> Result<Vec<u32>, Failure> {
    let feed = Feed { max_rows: total, kv: Precision::F16, total };
    let mut context = subject.context(1, feed)?;
    context.start(0, total)?;
    let mut ids = PROMPT.to_vec();
    let mut taps = NoTaps;
    let mut runner = subject.runner(&mut taps);
    let mut logits = context.extend(&mut runner, 0, &PROMPT, Role::Prompt, Logits::Last)?;
    for at in 0..TOKENS {
        let position = ids.len() as u64;
        let step = Step { logits: &logits, history: &ids, seed: SEED, position };
        let id = sampler::sample(&step, &rules(at))?.id;
        ids.push(id);
        if ids.len() < total {
            logits = context.extend(&mut runner, 0, &[id], Role::Generated, Logits::Last)?;
        }
    }
    Ok(ids)
}
