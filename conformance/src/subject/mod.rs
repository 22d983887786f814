//! The engine in process, as the thing that is judged: a model file on a backend, and the ways to
//! ask it. Knows no golden and no case.

mod wrapped;

pub use wrapped::{Defect, Wrapped};

use engine::adapters::Architecture;
use engine::backend::cpu::{Cpu, matmul};
use engine::backend::cuda::kernels::Kernels;
use engine::backend::cuda::{self, Cuda};
use engine::backend::taps::{Recorder, Seen};
use engine::backend::{Backend, NoTaps, Taps};
use engine::batch::Role;
use engine::error::Result;
use engine::forward::{Context, Logits, Runner};
use engine::kv::{CachePlan, Precision};
use engine::loader::Gguf;
use engine::model::{self, Model};
use engine::profile::Profile;
use harness::{environment, roots};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A backend that cases can be run on.
pub trait Machine: 'static {
    /// Its type.
    type Backend: Backend;
    /// First part of the names of its cases.
    const NAME: &'static str;
    /// What the machine must have for it, as a capability.
    const NEEDS: Option<&'static str>;
    /// Whether it rounds both sides of a prompt's products to 11 bits.
    const ROUNDED: bool = false;

    /// A fresh one.
    fn open() -> Result<Self::Backend>;
}

/// The CPU, where unwritten memory is NaN.
pub struct OnCpu;

impl Machine for OnCpu {
    type Backend = Cpu;
    const NAME: &'static str = "cpu";
    const NEEDS: Option<&'static str> = None;

    fn open() -> Result<Cpu> {
        Ok(Cpu::default().poisoned())
    }
}

/// The first CUDA device. Kernels are loaded once a process; unwritten memory is NaN and lies
/// between guards.
pub struct OnCuda;

impl Machine for OnCuda {
    type Backend = Cuda;
    const NAME: &'static str = "cuda";
    const NEEDS: Option<&'static str> = Some("cuda");

    fn open() -> Result<Cuda> {
        // Poison is written memory, in which a tool that looks for unwritten memory finds none.
        let poisoned = !environment::is_on("ORCD_UNPOISONED");
        Cuda::on(&loaded_kernels()?, poisoned)
    }
}

/// The same with products of prompts in 16 bits.
pub struct OnCudaFast;

impl Machine for OnCudaFast {
    type Backend = Cuda;
    const NAME: &'static str = "cuda::fast";
    const NEEDS: Option<&'static str> = Some("cuda");
    const ROUNDED: bool = true;

    fn open() -> Result<Cuda> {
        OnCuda::open().map(Cuda::fast)
    }
}

/// The kernels of the first CUDA device, loaded once a process.
pub fn loaded_kernels() -> Result<Arc<Kernels>> {
    static KERNELS: Mutex<Option<Arc<Kernels>>> = Mutex::new(None);
    let mut known = KERNELS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(kernels) = &*known {
        return Ok(kernels.clone());
    }
    let kernels = Arc::new(Kernels::new(&cuda::Context::open(0)?)?);
    *known = Some(kernels.clone());
    Ok(kernels)
}

/// The CPU with activations of 8 bits.
pub struct OnCpuFast;

impl Machine for OnCpuFast {
    type Backend = Cpu;
    const NAME: &'static str = "cpu::fast";
    const NEEDS: Option<&'static str> = None;

    fn open() -> Result<Cpu> {
        Ok(Cpu::new(2, matmul::Precision::Fast).poisoned())
    }
}

/// The CPU with one thread, or with more than it has cores, in one precision or the other.
pub struct OnThreads<const N: usize, const FAST: bool>;

impl<const N: usize, const FAST: bool> Machine for OnThreads<N, FAST> {
    type Backend = Cpu;
    const NAME: &'static str = if FAST { "cpu::fast::threads" } else { "cpu::threads" };
    const NEEDS: Option<&'static str> = None;

    fn open() -> Result<Cpu> {
        let precision = if FAST { matmul::Precision::Fast } else { matmul::Precision::Exact };
        Ok(Cpu::new(N, precision).poisoned())
    }
}

/// A model on a backend.
pub struct Subject<B: Backend> {
    /// The machine.
    pub backend: B,
    /// The model.
    pub model: Model<B>,
}

/// How a prompt is fed.
#[derive(Debug, Clone, Copy)]
pub struct Feed {
    /// Rows that are computed together at most.
    pub max_rows: usize,
    /// How keys and values are kept.
    pub kv: Precision,
    /// How long the sequence is declared to become; at least the prompt.
    pub total: usize,
}

impl Feed {
    /// All rows of a prompt at once, in f32.
    pub fn whole(tokens: &[u32]) -> Feed {
        Feed { max_rows: tokens.len().max(1), kv: Precision::F32, total: tokens.len() }
    }

    /// The same prompt in parts of `max_rows`.
    pub fn parts(tokens: &[u32], max_rows: usize) -> Feed {
        Feed { max_rows, ..Feed::whole(tokens) }
    }
}

impl<B: Backend> Subject<B> {
    /// A model file on any backend, after `edit` has had its way with the description.
    pub fn open(
        mut backend: B,
        path: &Path,
        profile: Profile,
        edit: impl FnOnce(&mut Architecture),
    ) -> Result<Self> {
        let file = Arc::new(Gguf::open(path)?);
        let mut description = model::describe(&file, profile)?;
        edit(&mut description.architecture);
        let model = Model::load(&mut backend, &file, description, |_| ())?;
        Ok(Subject { backend, model })
    }

    /// Room for `slots` sequences, poisoned.
    pub fn context(&mut self, slots: usize, feed: Feed) -> Result<Context<B>> {
        let total = feed.total.max(1);
        let mut plan =
            CachePlan::new(&self.model.architecture, slots, total, feed.max_rows, feed.kv);
        plan.poison = true;
        Context::new(&mut self.backend, plan)
    }

    /// Takes part in a pass.
    pub fn runner<'r>(&'r mut self, taps: &'r mut dyn Taps) -> Runner<'r, B> {
        Runner { backend: &mut self.backend, model: &self.model, taps }
    }

    /// Logits after every token of a prompt.
    pub fn logits(&mut self, tokens: &[u32], feed: Feed) -> Result<Vec<f32>> {
        let mut context = self.context(1, feed)?;
        context.extend(&mut self.runner(&mut NoTaps), 0, tokens, Role::Prompt, Logits::All)
    }

    /// Logits after every token of a prompt in a sequence that was declared to have `total`
    /// positions, in parts that keep memory small.
    pub fn logits_of(&mut self, tokens: &[u32], total: usize) -> Result<Vec<f32>> {
        let mut context = self.context_of(tokens, total)?;
        context.extend(&mut self.runner(&mut NoTaps), 0, tokens, Role::Prompt, Logits::All)
    }

    /// Room for one sequence that begins with `tokens` and is declared to have `total` positions.
    pub fn context_of(&mut self, tokens: &[u32], total: usize) -> Result<Context<B>> {
        let total = total.max(tokens.len());
        self.context(1, Feed { total, ..Feed::parts(tokens, tokens.len().min(512)) })
    }

    /// Everything there is to see while a prompt is computed at once.
    pub fn trace(&mut self, tokens: &[u32], total: usize) -> Result<Vec<Seen>> {
        let total = total.max(tokens.len());
        let mut context = self.context(1, Feed { total, ..Feed::whole(tokens) })?;
        let mut recorder = Recorder::all();
        context.extend(&mut self.runner(&mut recorder), 0, tokens, Role::Prompt, Logits::All)?;
        Ok(recorder.seen)
    }
}

/// The small trained models that the project ships, by name.
pub fn fixtures() -> Vec<(String, PathBuf)> {
    let folder = roots::project().join("golden/models");
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> = files
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "gguf"))
        .filter_map(|path| Some((path.file_stem()?.to_str()?.to_owned(), path)))
        .collect();
    found.sort();
    found
}
