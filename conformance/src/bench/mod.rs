//! Benchmarks as data: name, size, a piece of work, and what it is compared with. Under
//! `cargo bench` criterion times them (see `timed`); under `cargo test` each body runs once as a
//! `bench-smoke::` case, so that a benchmark can neither rot nor measure nothing.

mod clock;
mod cuda;
mod goals;
mod matmul;
mod memcpy;
mod quant;
mod sampler;
mod timed;
mod tokenizer;

use harness::{Case, Failure};
use std::time::Duration;
pub use timed::main;

/// Work whose time is measured. Everything it needs is prepared before the clock starts.
pub trait Work {
    /// Forgets, unmeasured, what the last round left behind. Whether there is anything: if not,
    /// rounds are measured together, without a look at the clock between them.
    fn reset(&mut self) -> bool {
        false
    }

    /// Whether several threads share the body. If not, what counts is its thread's computing time,
    /// so that a busy machine measures the same; else the time on the wall.
    fn is_shared(&self) -> bool {
        false
    }

    /// The measured body.
    fn run(&mut self);

    /// Runs the body so many times and says how long that took, if the work has a clock of its own.
    fn clocked(&mut self, _rounds: u64) -> Option<Duration> {
        None
    }

    /// Whether the body left a plausible result. Must be red before the first [`Work::run`]: that
    /// is how the suite knows that the check sees what the body does.
    fn check(&self) -> Result<(), Failure>;
}

/// Prepares work that produces the given number of bytes.
pub type Setup = Box<dyn Fn(usize) -> Result<Box<dyn Work>, Failure> + Send + Sync>;

/// One benchmark.
pub struct Bench {
    /// Path-like name: `bench::quant::Q4_K::256KB`.
    pub name: String,
    /// What the body does, one word: `decode`, `copy`. Criterion's id is `name/verb`.
    pub verb: &'static str,
    /// Bytes that one run of the body produces, or reads if it produces next to nothing; GB/s are
    /// computed from it.
    pub bytes: usize,
    /// Floating-point operations for each of these bytes; 0 where they are not what counts.
    pub operations_per_byte: f64,
    /// The benchmark whose speed the closing table divides by, measured in the same run.
    pub baseline: Option<String>,
    /// What the machine must have; see the harness's table of capabilities.
    pub needs: Option<&'static str>,
    /// Makes the work.
    pub setup: Setup,
}

/// Fits every level-2 cache: shows the arithmetic.
pub const CACHED: (usize, &str) = (256 << 10, "256KB");
/// Fits no cache: shows the memory path.
pub const STREAMED: (usize, &str) = (256 << 20, "256MB");
/// What a smoke case asks for at most: enough for every code path, too little to wait for.
const SMOKE_BYTES: usize = 1 << 20;

/// Every benchmark there is.
pub fn all() -> Vec<Bench> {
    let areas = [
        memcpy::benches(),
        quant::benches(),
        matmul::benches(),
        cuda::benches(),
        sampler::benches(),
        tokenizer::benches(),
    ];
    areas.into_iter().flatten().collect()
}

/// Every benchmark as a case that runs the body once.
pub fn smoke_cases() -> Vec<Case> {
    all().into_iter().map(smoke_case).collect()
}

fn smoke_case(bench: Bench) -> Case {
    let name = bench.name.replacen("bench::", harness::case::SMOKE, 1);
    let needs = bench.needs;
    let case = Case::new(name, move |_| smoke(&bench));
    match needs {
        Some(capability) => case.needs(capability),
        None => case,
    }
}

/// Runs the body once and proves that its check can tell whether it ran.
pub fn smoke(bench: &Bench) -> Result<(), Failure> {
    let mut work = (bench.setup)(bench.bytes.min(SMOKE_BYTES))?;
    if work.check().is_ok() {
        return Err("the check passes before the body has run: it would accept no work".into());
    }
    work.run();
    work.check()
}
