//! `cuda::repro::MODEL::{three-threads, another-process}` — where a model was loaded, where its
//! prompt was read and where it goes on changes no bit.

use crate::subject::{Feed, Machine, OnCuda, Subject, fixtures};
use crate::worker;
use engine::backend::NoTaps;
use engine::backend::cuda::Cuda;
use engine::batch::Role;
use engine::error::Result as EngineResult;
use engine::forward::{Context, Logits};
use engine::profile::Profile;
use harness::{Case, Failure, compare, roots};
use std::path::Path;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (model, path) in fixtures() {
        let name = format!("cuda::repro::{model}::three-threads");
        let file = path.clone();
        let case = Case::new(name, move |_| three_threads(&file));
        cases.push(case.needs("cuda").requirements(["C23"]));
        let name = format!("cuda::repro::{model}::another-process");
        let case = Case::new(name, move |_| another_process(&path));
        cases.push(case.needs("cuda").requirements(["C19"]));
    }
    cases
}

fn prompt(n_vocab: usize) -> Vec<u32> {
    (0..40).map(|at| (at * 37 + 11) % n_vocab as u32).collect()
}

fn open(path: &Path) -> EngineResult<Subject<Cuda>> {
    Subject::open(OnCuda::open()?, path, Profile::Reference, |_| ())
}

type Stage = (Subject<Cuda>, Context<Cuda>, Vec<f32>);

/// Reads a prompt, then goes on with tokens as if they had been generated.
fn read(mut subject: Subject<Cuda>, tokens: &[u32]) -> EngineResult<Stage> {
    let mut context = subject.context(1, Feed::whole(tokens))?;
    let mut taps = NoTaps;
    let part = &tokens[..30];
    let runner = &mut subject.runner(&mut taps);
    let logits = context.extend(runner, 0, part, Role::Prompt, Logits::All)?;
    Ok((subject, context, logits))
}

fn go_on((mut subject, mut context, mut logits): Stage, tokens: &[u32]) -> EngineResult<Vec<f32>> {
    let mut taps = NoTaps;
    for token in &tokens[30..] {
        let runner = &mut subject.runner(&mut taps);
        let more = context.extend(runner, 0, &[*token], Role::Generated, Logits::All)?;
        logits.extend(more);
    }
    Ok(logits)
}

fn three_threads(path: &Path) -> Result<(), Failure> {
    let subject = open(path)?;
    let tokens = prompt(subject.model.architecture.n_vocab);
    let want = go_on(read(subject, &tokens)?, &tokens)?;
    let got = std::thread::scope(|scope| -> EngineResult<Vec<f32>> {
        let died = |_| engine::error::Error::Usage("a thread died".into());
        let loaded = scope.spawn(|| open(path)).join().map_err(died)??;
        let stage = scope.spawn(|| read(loaded, &tokens)).join().map_err(died)??;
        scope.spawn(|| go_on(stage, &tokens)).join().map_err(died)?
    })?;
    compare::arrays("logits", &got, &want).exactly()
}

fn another_process(path: &Path) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let path = path.to_string_lossy();
    let mut answers = Vec::new();
    for out in ["first.npy", "second.npy"] {
        let out = folder.path().join(out);
        let file = out.to_string_lossy();
        let tokens = "1,2,3,5,8,13,21,34,55,89";
        let ask = ["logits", &*path, "--tokens", tokens, "--backend", "cuda:0", "--out", &*file];
        let ended = worker::run(&roots::project(), ask)?;
        if ended.code != Some(0) {
            return Err(format!("{ended:?}").into());
        }
        answers.push(std::fs::read(out)?);
    }
    match answers[0] == answers[1] && answers[0].len() > 1000 {
        true => Ok(()),
        false => Err("two processes gave different bytes, or none".into()),
    }
}
