//! Runs one case and turns whatever happens into a verdict. Knows nothing of command lines.

use crate::case::{Case, LANES, Lane, Run};
use crate::record::{Record, Verdict};
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Condvar, Mutex, Once, PoisonError};
use std::time::Instant;

thread_local! {
    /// `Some` while this thread runs a case: what its last panic said.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `case` in its lane. `missing` says what this machine lacks, if the case was forced to run.
pub fn execute(case: &Case, missing: Option<&str>) -> Record {
    let place = enter(Lane::of(&case.name));
    let begun = Instant::now();
    let mut run = Run::default();
    let ended = match missing {
        Some(_) => Ok(()),
        None => guarded(case, &mut run),
    };
    let ms = begun.elapsed().as_secs_f64() * 1e3;
    drop(place);
    let mut record = blank(case);
    (record.verdict, record.reason) = match missing {
        // Even a known failure: its body did not run, so nobody knows how it ends.
        Some(missing) => red(case, missing),
        None => verdict(case, &run, ended),
    };
    record.ms = ms;
    record.deviations = run.deviations;
    // JSON has no other numbers; an odd one has made the case red above.
    record.figures = run.figures.into_iter().filter(|figure| figure.value.is_finite()).collect();
    record
}

/// The record of a case that is not run because this machine lacks something.
pub fn ignored(case: &Case, missing: &str) -> Record {
    Record { reason: Some(missing.into()), ..blank(case) }
}

/// The command that runs exactly the case `name`.
pub fn rerun(name: &str) -> String {
    format!("cargo test --test suite -- --exact {name}")
}

fn blank(case: &Case) -> Record {
    Record {
        name: case.name.clone(),
        verdict: Verdict::Ignored,
        reason: None,
        deviations: Vec::new(),
        figures: Vec::new(),
        ms: 0.0,
        requirements: case.requirements.clone(),
        needs: case.needs.clone(),
        lane: Lane::of(&case.name),
        runs: Vec::new(),
    }
}

fn verdict(case: &Case, run: &Run, ended: Result<(), String>) -> (Verdict, Option<String>) {
    let red = |reason: String| red(case, &reason);
    if let Some(figure) = run.figures.iter().find(|figure| !figure.value.is_finite()) {
        let what = format!("figure '{}' is {}", figure.name, figure.value);
        return red(ended.err().map_or(what.clone(), |reason| format!("{reason}\n  {what}")));
    }
    match (ended, &case.known_failure) {
        (Err(reason), None) => red(reason),
        (Err(reason), Some(known)) => {
            (Verdict::Deviation, Some(format!("known failure: {known}\n{reason}")))
        }
        (Ok(()), Some(known)) => red(format!(
            "stale known failure: the case passes now, so take the mark away\n  mark      {known}"
        )),
        (Ok(()), None) if run.deviations.is_empty() => (Verdict::Pass, None),
        (Ok(()), None) => {
            let met = run.deviations.iter().map(|d| format!("{}: {}", d.id, d.reason));
            (Verdict::Deviation, Some(met.collect::<Vec<_>>().join("\n")))
        }
    }
}

fn red(case: &Case, reason: &str) -> (Verdict, Option<String>) {
    (Verdict::Fail, Some(format!("{reason}\n  rerun     {}", rerun(&case.name))))
}

fn guarded(case: &Case, run: &mut Run) -> Result<(), String> {
    catch_messages();
    PANIC.set(Some("panicked without a message".into()));
    let ended = panic::catch_unwind(AssertUnwindSafe(|| (case.body)(run)));
    let said = PANIC.take();
    match ended {
        Ok(ended) => ended.map_err(|failure| failure.text().to_owned()),
        Err(_) => Err(said.unwrap_or_default()),
    }
}

/// Panics in a case become part of its verdict; all others are printed as ever.
fn catch_messages() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let kept = PANIC.try_with(|said| {
                let mut said = said.borrow_mut();
                if said.is_some() {
                    *said = Some(info.to_string());
                }
                said.is_some()
            });
            if kept != Ok(true) {
                usual(info);
            }
        }));
    });
}

/// How many cases are in each lane of [`LANES`], and a bell for whoever waits.
static INSIDE: (Mutex<[usize; LANES.len()]>, Condvar) =
    (Mutex::new([0; LANES.len()]), Condvar::new());

/// A place in a lane, given back when dropped.
struct Place(usize);

fn enter(lane: Lane) -> Option<Place> {
    let row = LANES.iter().position(|(known, _, _)| *known == lane)?;
    let (inside, bell) = &INSIDE;
    let inside = inside.lock().unwrap_or_else(PoisonError::into_inner);
    let full = |inside: &mut [usize; LANES.len()]| inside[row] >= LANES[row].2;
    let mut inside = bell.wait_while(inside, full).unwrap_or_else(PoisonError::into_inner);
    inside[row] += 1;
    Some(Place(row))
}

impl Drop for Place {
    fn drop(&mut self) {
        let (inside, bell) = &INSIDE;
        inside.lock().unwrap_or_else(PoisonError::into_inner)[self.0] -= 1;
        bell.notify_all();
    }
}
