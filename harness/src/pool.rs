//! Runs cases in this process on several threads, for a caller that wants records instead of
//! libtest's output. Order of starting is the order given.

use crate::execute::execute;
use crate::plan::Planned;
use crate::record::Record;
use crate::results::Results;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Runs each of `cases`, writes it down, and tells `watch` about it: with no record when it starts,
/// with its record when it ends.
pub fn run(
    cases: &[&Planned],
    threads: usize,
    results: &Results,
    watch: impl Fn(&str, Option<&Record>) + Sync,
) -> io::Result<()> {
    let next = AtomicUsize::new(0);
    let wrong: Mutex<Option<io::Error>> = Mutex::new(None);
    let work = || {
        while let Some(planned) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = one(planned, results, &watch) {
                *wrong.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                return;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(work);
        }
    });
    match wrong.into_inner().unwrap_or_else(PoisonError::into_inner) {
        None => Ok(()),
        Some(error) => Err(error),
    }
}

fn one(
    planned: &Planned,
    results: &Results,
    watch: &(impl Fn(&str, Option<&Record>) + Sync),
) -> io::Result<()> {
    let name = &planned.case.name;
    watch(name, None);
    results.begin(name)?;
    let record = execute(&planned.case, planned.missing.as_deref());
    watch(name, Some(&record));
    results.end(record)
}
