//! Whole files: the same bytes whatever the threads, sound numbers, a model that the adapters
//! know, logits that are numbers and spread, however deep the model; and a disk that fills up.

use crate::models;
use engine::adapters;
use engine::backend::NoTaps;
use engine::backend::cpu::Cpu;
use engine::batch::Role;
use engine::error::Error;
use engine::forward::{Context, Logits, Runner};
use engine::kv::{CachePlan, Precision};
use engine::loader::{Gguf, check};
use engine::model::{self, Model};
use engine::profile::Profile;
use engine::synth::{Options, Plan};
use harness::{Case, Failure, Run};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("synth::files::same-bytes-on-any-threads", any_threads),
        Case::new("synth::files::a-full-disk-is-named", full_disk),
        Case::new("synth::files::deep-models-stay-finite", deep),
        Case::new("synth::files::every-family-is-there", families),
    ];
    cases.extend(models::names().into_iter().map(|name| {
        Case::new(format!("synth::files::opens::{name}"), move |run| opens(&name, run))
    }));
    cases
}

fn any_threads(_: &mut Run) -> Result<(), Failure> {
    let description = models::description("gpt-oss-odd")?;
    let make = |seed, threads| {
        let plan = Plan::new(&description, &Options { seed, ..Options::default() })?;
        let bytes = models::bytes(&plan, threads)?;
        match bytes.len() as u64 == plan.bytes() {
            true => Ok(bytes),
            false => Err(Failure::from(format!(
                "{} bytes were announced, {} written",
                plan.bytes(),
                bytes.len()
            ))),
        }
    };
    let one = make(3, 1)?;
    for threads in [2, 3, 16] {
        if make(3, threads)? != one {
            return Err(format!("{threads} threads write other bytes than one").into());
        }
    }
    match make(4, 1)? == one {
        true => Err("another seed gives the same bytes".into()),
        false => Ok(()),
    }
}

/// A disk with room for so many bytes.
struct Disk(usize);

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.0.min(bytes.len());
        self.0 -= room;
        if room == 0 { Err(ErrorKind::StorageFull.into()) } else { Ok(room) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn full_disk(_: &mut Run) -> Result<(), Failure> {
    let plan = Plan::new(&models::description("llama-k-mix")?, &Options::default())?;
    let size = plan.bytes() as usize;
    for room in [size / 2, size - 1] {
        let mut stream = plan.writer().stream(Disk(room), Path::new("there.gguf"))?;
        let written = plan.write(&mut stream, 3, |_, _| {});
        let result = written.and_then(|()| stream.finish().map(|_| ()));
        let Err(Error::Io { doing, path, source }) = result else {
            return Err(format!("room for {room} of {size} bytes: {result:?}").into());
        };
        let named = doing == "write" && path == Path::new("there.gguf");
        if !(named && source.kind() == ErrorKind::StorageFull) {
            return Err(format!("{doing} {}: {source}", path.display()).into());
        }
    }
    Ok(())
}

fn opens(name: &str, run: &mut Run) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let file = models::open(name, 0, folder.path())?;
    check::gguf(&file, None)?;
    for profile in [Profile::Reference, Profile::LlamaCpp] {
        model::describe(&file, profile)?;
    }
    sane(&logits(file, 24)?, run)
}

/// Deep models of the two families that differ most in what passes through a layer.
fn deep(run: &mut Run) -> Result<(), Failure> {
    for name in ["gpt-oss-mxfp4", "llama-mxfp4"] {
        let folder = tempfile::tempdir()?;
        let options = Options { layers: Some(64), ..Options::default() };
        let plan = Plan::new(&models::description(name)?, &options)?;
        let path = folder.path().join("deep.gguf");
        std::fs::write(&path, models::bytes(&plan, 2)?)?;
        sane(&logits(Gguf::open(&path)?, 24)?, run)?;
    }
    Ok(())
}

fn families(_: &mut Run) -> Result<(), Failure> {
    let names = models::names();
    let has = |family: &str| names.iter().any(|name| name.starts_with(family));
    match adapters::ADAPTERS.iter().find(|adapter| !has(adapter.family())) {
        Some(adapter) => Err(format!("no random model of {}", adapter.family()).into()),
        None => Ok(()),
    }
}

/// Logits of the first `count` ids, row by row.
fn logits(file: Gguf, count: u32) -> Result<Vec<Vec<f32>>, Failure> {
    let file = Arc::new(file);
    let description = model::describe(&file, Profile::Reference)?;
    let mut backend = Cpu::default().poisoned();
    let model = Model::load(&mut backend, &file, description, |_| {})?;
    let count = count as usize;
    let plan = CachePlan::new(&model.architecture, 1, count, count, Precision::F32);
    let mut context = Context::new(&mut backend, plan)?;
    let tokens: Vec<u32> = (0..count as u32).map(|id| id * 3 + 1).collect();
    let n_vocab = model.architecture.n_vocab;
    let mut runner = Runner { backend: &mut backend, model: &model, taps: &mut NoTaps };
    let all = context.extend(&mut runner, 0, &tokens, Role::Prompt, Logits::All)?;
    Ok(all.chunks_exact(n_vocab).map(<[f32]>::to_vec).collect())
}

/// Finite, spread enough that one token stands out, and not the same for every row.
fn sane(rows: &[Vec<f32>], run: &mut Run) -> Result<(), Failure> {
    if let Some(row) = rows.iter().position(|row| row.iter().any(|x| !x.is_finite())) {
        return Err(format!("row {row} holds what is no number").into());
    }
    let std = |row: &[f32]| {
        let mean = row.iter().sum::<f32>() / row.len() as f32;
        (row.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / row.len() as f32).sqrt()
    };
    let spread: Vec<f32> = rows.iter().map(|row| std(row)).collect();
    let (least, most) = spread.iter().fold((f32::MAX, 0.0f32), |(a, b), x| (a.min(*x), b.max(*x)));
    run.figure("least spread of logits", least.into(), "");
    run.figure("most", most.into(), "");
    if least < 1.0 || most > 16.0 {
        return Err(format!("logits of a row spread between {least} and {most}").into());
    }
    let top = |row: &[f32]| {
        let better = |best: usize, id: usize| if row[id] > row[best] { id } else { best };
        (0..row.len()).fold(0, better)
    };
    let mut tops: Vec<usize> = rows.iter().map(|row| top(row)).collect();
    tops.sort_unstable();
    tops.dedup();
    run.figure("different best tokens", tops.len() as f64, "");
    match tops.len() >= rows.len() / 3 {
        true => Ok(()),
        false => Err(format!("{} rows, {} different best tokens", rows.len(), tops.len()).into()),
    }
}
