//! Makes a pack: every kernel for every target, on as many threads as there are cores. Knows that
//! the result must not depend on which thread was faster.

use super::compiler::{Compiled, Compiler, OPTIONS};
use super::kernels::spelled;
use super::pack::{self, Entry, Manifest};
use super::sources::{self, Packed, Unit};
use crate::error::{Error, Result};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where a compilation leaves its result.
type Slot = Mutex<Option<Result<(Entry, Vec<u8>)>>>;

/// One compilation.
struct Job<'a> {
    kernel: &'a Packed,
    target: &'a str,
}

/// How many compilations a pack for `targets` takes.
pub fn compilations(targets: &[String]) -> usize {
    let of = |kernel: Packed| targets.iter().filter(|target| kernel.is_for(target)).count();
    sources::packed().map(of).sum()
}

/// The bytes of a pack with every kernel for `targets`. `done` hears of each compilation. A kernel
/// that spills more registers than is known of it is refused: it would run, slowly, and nobody
/// would know why.
pub fn build(
    compiler: &Compiler,
    targets: &[String],
    done: &(dyn Fn(&str) + Sync),
) -> Result<Vec<u8>> {
    let kernels: Vec<Packed> = sources::packed().collect();
    let jobs: Vec<Job> = kernels
        .iter()
        .flat_map(|kernel| {
            let targets = targets.iter().filter(|target| kernel.is_for(target));
            targets.map(move |target| Job { kernel, target })
        })
        .collect();
    let results: Vec<Slot> = jobs.iter().map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((job, slot)) = take(&next, &jobs, &results) {
                    let result = job.compile(compiler);
                    done(&format!(
                        "{} {}",
                        spelled(job.kernel.stem, &job.kernel.constants),
                        job.target
                    ));
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
        let Packed { stem, constants, spill_bytes_max, .. } = self.kernel;
        let unit = Unit::of(stem)?;
        let Compiled { image, usage } = compiler.compile(&unit, constants, self.target)?;
        let kernel = spelled(stem, constants);
        if let Some(spilling) = usage.iter().find(|usage| usage.spilled_bytes > *spill_bytes_max) {
            let why = format!(
                "{} spills {} bytes for {}, {spill_bytes_max} at most: it needs more than its {} \
                 registers",
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
