//! Makes a pack: every kernel for every target, on as many threads as there are cores. Knows that
//! the result must not depend on which thread was faster.

use super::compiler::{Compiled, Compiler, Constant, OPTIONS};
use super::kernels::spelled;
use super::pack::{self, Entry, Manifest};
use super::sources::{self, Unit};
use crate::error::{Error, Result};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where a compilation leaves its result.
type Slot = Mutex<Option<Result<(Entry, Vec<u8>)>>>;

/// One compilation.
struct Job<'a> {
    stem: &'static str,
    constants: &'static [Constant],
    target: &'a str,
}

/// How many compilations a pack for `targets` takes.
pub fn compilations(targets: &[String]) -> usize {
    sources::units().count() * targets.len()
}

/// The bytes of a pack with every kernel for `targets`. `done` hears of each compilation. A kernel
/// that spills registers is refused: it would run, slowly, and nobody would know why.
pub fn build(
    compiler: &Compiler,
    targets: &[String],
    done: &(dyn Fn(&str) + Sync),
) -> Result<Vec<u8>> {
    let jobs: Vec<Job> = sources::units()
        .flat_map(|(stem, constants)| {
            targets.iter().map(move |target| Job { stem, constants, target })
        })
        .collect();
    let results: Vec<Slot> = jobs.iter().map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((job, slot)) = take(&next, &jobs, &results) {
                    let result = job.compile(compiler);
                    done(&format!("{} {}", spelled(job.stem, job.constants), job.target));
                    if let Ok(mut slot) = slot.lock() {
                        *slot = Some(result);
                    }
                }
            });
        }
    });
    let unfinished = || Error::kernel("kernel pack", "a compilation ended without a result");
    let mut entries = Vec::new();
    let mut images = Vec::new();
    for slot in results {
        let result = slot.into_inner().map_err(|_| unfinished())?.ok_or_else(unfinished)?;
        let (entry, image) = result?;
        entries.push(entry);
        images.push(image);
    }
    let options = OPTIONS.iter().map(|option| (*option).to_owned()).collect();
    pack::write(Manifest { compiler: compiler.version(), options, entries }, &images)
}

fn take<'a, T>(
    next: &AtomicUsize,
    jobs: &'a [Job],
    slots: &'a [T],
) -> Option<(&'a Job<'a>, &'a T)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    jobs.get(index).zip(slots.get(index))
}

impl Job<'_> {
    fn compile(&self, compiler: &Compiler) -> Result<(Entry, Vec<u8>)> {
        let unit = Unit::of(self.stem)?;
        let Compiled { image, usage } = compiler.compile(&unit, self.constants, self.target)?;
        let kernel = spelled(self.stem, self.constants);
        if let Some(spilling) = usage.iter().find(|usage| usage.spilled_bytes > 0) {
            let why = format!(
                "{} spills {} bytes for {}: it needs more than its {} registers",
                spilling.symbol, spilling.spilled_bytes, self.target, spilling.registers
            );
            return Err(Error::kernel(kernel, why));
        }
        let entry = Entry {
            kernel,
            target: self.target.into(),
            sources: unit.digest(),
            at: 0,
            bytes: image.len(),
            sha256: String::new(),
            usage,
        };
        Ok((entry, image))
    }
}
