//! `memory::` what a model takes, estimated from its description, against what the CPU backend
//! really allocates: the cache to the byte, activations within what its buffers cost besides.

use crate::alloc::{self, Heap};
use crate::models;
use engine::backend::cpu::{self, Cpu};
use engine::backend::{Backend, NoTaps};
use engine::batch::Role;
use engine::forward::{Context, Logits, Runner};
use engine::kv::{CachePlan, Precision};
use engine::loader::TensorInfo;
use engine::memory::{self, CacheBytes};
use engine::model::{self, Model};
use engine::profile::Profile;
use harness::{Case, Failure, Run};
use std::sync::Arc;

pub(super) fn cases() -> Vec<Case> {
    let case = |name: String| Case::new(format!("memory::{name}"), move |run| measured(&name, run));
    let mut cases: Vec<Case> = models::names().into_iter().map(case).collect();
    cases.push(Case::new("memory::windows-do-not-grow", windows));
    cases.extend(models::names().into_iter().map(|name| {
        Case::new(format!("memory::arranged::{name}"), move |run| arranged(&name, run))
    }));
    for (name, files, want) in AVAILABLE {
        let check = move |_: &mut Run| available(files, *want);
        cases.push(Case::new(format!("memory::available::{name}"), check));
    }
    cases
}

/// Files of a system, and the bytes that a process may still take there.
type System = (&'static str, &'static [(&'static str, &'static str)], usize);

/// A process in a group with a limit may take what is left of it, whatever the machine has.
const AVAILABLE: &[System] = &[
    ("nobody-says", &[], usize::MAX),
    ("the-system", &[("proc/meminfo", "MemTotal: 9 kB\nMemAvailable:       4 kB\n")], 4096),
    (
        "without-a-limit",
        &[
            ("proc/meminfo", "MemAvailable: 4 kB\n"),
            ("proc/self/cgroup", "0::/\n"),
            ("sys/fs/cgroup/memory.max", "max\n"),
            ("sys/fs/cgroup/memory.current", "5\n"),
        ],
        4096,
    ),
    (
        "a-limit",
        &[
            ("proc/meminfo", "MemAvailable: 4 kB\n"),
            ("proc/self/cgroup", "0::/job/step\n"),
            ("sys/fs/cgroup/job/step/memory.max", "3000\n"),
            ("sys/fs/cgroup/job/step/memory.current", "2500\n"),
            ("sys/fs/cgroup/job/step/memory.stat", "anon 7\ninactive_file 1500\n"),
        ],
        2000,
    ),
    (
        "of-a-group-above",
        &[
            ("proc/meminfo", "MemAvailable: 4 kB\n"),
            ("proc/self/cgroup", "0::/job/step\n"),
            ("sys/fs/cgroup/job/step/memory.max", "max\n"),
            ("sys/fs/cgroup/job/step/memory.current", "10\n"),
            ("sys/fs/cgroup/job/memory.max", "1000\n"),
            ("sys/fs/cgroup/job/memory.current", "900\n"),
        ],
        100,
    ),
    (
        "in-a-container-of-the-first-version",
        &[
            ("proc/meminfo", "MemAvailable: 4 kB\n"),
            ("proc/self/cgroup", "5:cpu,memory:/docker/0123\n0::/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "2000\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "1900\n"),
            ("sys/fs/cgroup/memory/memory.stat", "total_inactive_file 400\n"),
        ],
        500,
    ),
    (
        "more-used-than-allowed",
        &[
            ("proc/self/cgroup", "0::/\n"),
            ("sys/fs/cgroup/memory.max", "100\n"),
            ("sys/fs/cgroup/memory.current", "120\n"),
        ],
        0,
    ),
];

fn available(files: &[(&str, &str)], want: usize) -> Result<(), Failure> {
    let root = tempfile::tempdir()?;
    for (path, text) in files {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().ok_or("no folder")?)?;
        std::fs::write(path, text)?;
    }
    match cpu::available::available(root.path()) {
        got if got == want => Ok(()),
        got => Err(format!("{got} bytes, not {want}").into()),
    }
}

/// Rows in one pass: enough for what belongs to rows to outweigh what does not.
const ROWS: usize = 96;

fn measured(name: &str, run: &mut Run) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let file = Arc::new(models::open(name, 0, folder.path())?);
    let description = model::describe(&file, Profile::Reference)?;
    let mut backend = Cpu::default();
    let model = Model::load(&mut backend, &file, description, |_| {})?;
    let architecture = &model.architecture;
    let rows = ROWS.min(architecture.n_ctx);
    for precision in [Precision::F32, Precision::F16] {
        let plan = CachePlan::new(architecture, 2, 3 * rows, rows, precision);
        let parts = 2 * CacheBytes::of(architecture, &plan).sequence(3 * rows);
        if plan.bytes() != parts {
            return Err(format!("{} bytes in all, {parts} in parts", plan.bytes()).into());
        }
        let (context, heap) = alloc::measure(|| Context::new(&mut backend, plan.clone()));
        drop(context?);
        allocated(&heap, plan.bytes())?;
    }
    let plan = CachePlan::new(architecture, 1, rows, rows, Precision::F32);
    let mut context = Context::new(&mut backend, plan)?;
    let tokens: Vec<u32> = (0..rows as u32).map(|id| id % architecture.n_vocab as u32).collect();
    let mut runner = Runner { backend: &mut backend, model: &model, taps: &mut NoTaps };
    let pass = || context.extend(&mut runner, 0, &tokens, Role::Prompt, Logits::Last);
    let (logits, heap) = alloc::measure(pass);
    logits?;
    let estimate = memory::activations(architecture, rows, 1);
    let share = heap.peak_bytes as f64 / estimate as f64;
    run.figure("activations estimated", estimate as f64, "bytes");
    run.figure("allocated, as a share of it", share, "");
    // Less would mean that the estimate counts rows that nobody makes. More is what kernels pack
    // and decode for themselves, angles, routing, and buffers larger than the rows they were used
    // for: a share of the rows, and tiles that do not depend on them.
    const TILES: u64 = 512 << 10;
    match (estimate * 7 / 10..2 * estimate + TILES).contains(&(heap.peak_bytes as u64)) {
        true => Ok(()),
        false => Err(format!("{} bytes at once, estimated {estimate}", heap.peak_bytes).into()),
    }
}

/// The copy of weights that the CPU reads: no more than the weights that `inspect` counts, but for
/// rows that fill up the last eight of a matrix; and where there is no memory for any of it, or for
/// some, the bits are the same and it is said.
fn arranged(name: &str, run: &mut Run) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let file = Arc::new(models::open(name, 0, folder.path())?);
    let weights: u64 = file.tensors().iter().map(|info| info.bytes).sum();
    let filled: u64 = file.tensors().iter().map(filled).sum();
    let run_with = |mut backend: Cpu| -> Result<_, Failure> {
        let description = model::describe(&file, Profile::Reference)?;
        let model = Model::load(&mut backend, &file, description, |_| {})?;
        let n_vocab = model.architecture.n_vocab as u32;
        let tokens: Vec<u32> = (0..9).map(|id| id * 7 % n_vocab).collect();
        let plan = CachePlan::new(&model.architecture, 1, 9, 9, Precision::F32);
        let mut context = Context::new(&mut backend, plan)?;
        let mut runner = Runner { backend: &mut backend, model: &model, taps: &mut NoTaps };
        let logits = context.extend(&mut runner, 0, &tokens, Role::Prompt, Logits::All)?;
        let bits: Vec<u32> = logits.iter().map(|logit| logit.to_bits()).collect();
        Ok((bits, backend.arranged() as u64, backend.remark()))
    };
    let (want, all, remark) = run_with(Cpu::default())?;
    run.figure("arranged, as a share of the weights", all as f64 / weights as f64, "");
    if all > weights + filled || remark.is_some() {
        return Err(format!("{all} bytes arranged of {weights}, and {filled}: {remark:?}").into());
    }
    for limit in [0, all as usize / 2] {
        let (got, arranged, remark) = run_with(Cpu::default().arranging(limit))?;
        if got != want {
            return Err(format!("other bits with {limit} bytes of memory").into());
        }
        if arranged > limit as u64 || remark.is_some() != (arranged < all) {
            return Err(format!("{arranged} of {all} bytes in {limit}: {remark:?}").into());
        }
    }
    Ok(())
}

/// Bytes of the rows that fill up the last eight of each of a tensor's matrices.
fn filled(info: &TensorInfo) -> u64 {
    let dim = |at: usize| info.shape.get(at).copied().unwrap_or(1);
    let (rows, matrices) = (dim(1), dim(2) * dim(3));
    let row_bytes = info.bytes / (rows * matrices).max(1);
    (rows.next_multiple_of(8) - rows) * matrices * row_bytes
}

/// Keys and values, and besides a list of layers and slots that is small.
fn allocated(heap: &Heap, wanted: u64) -> Result<(), Failure> {
    const LISTS: u64 = 4096;
    match (wanted..wanted + LISTS).contains(&(heap.peak_bytes as u64)) {
        true => Ok(()),
        false => Err(format!("{} bytes of cache, planned {wanted}", heap.peak_bytes).into()),
    }
}

/// A sequence twice as long takes twice the memory in layers without a window, and no more in
/// those with one.
fn windows(_: &mut Run) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let file = models::open("gpt-oss-odd", 0, folder.path())?;
    let architecture = model::describe(&file, Profile::Reference)?.architecture;
    let bytes = |context| {
        let plan = CachePlan::new(&architecture, 1, context, 8, Precision::F16);
        CacheBytes::of(&architecture, &plan)
    };
    let (short, long) = (bytes(100), bytes(200));
    let sum = |bytes: CacheBytes, context| bytes.sequence(context);
    let grown = sum(long, 200) - sum(short, 100);
    match (short == long, grown == 100 * short.whole.1, short.windowed.0) {
        (true, true, 2) => Ok(()),
        found => Err(format!("{found:?}: {short:?}, then {long:?}").into()),
    }
}
