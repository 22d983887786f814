//! The suite under `cargo test` and `cargo nextest`: hands cases to libtest-mimic, keeps results,
//! and refuses to be green over nothing. Knows the command line, not what a case checks.

use crate::case::Case;
use crate::environment::Settings;
use crate::execute::{execute, ignored};
use crate::machine::Machine;
use crate::plan::{self, Planned, plan};
use crate::record::{Record, RunHeader, SCHEMA, Verdict};
use crate::results::Results;
use crate::{capability, roots};
use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a run that could not be trusted exits with; libtest's own code for red is 101.
const SETUP_ERROR: u8 = 102;

/// Runs `cases` as the command line asks.
pub fn run(arguments: &Arguments, cases: Vec<Case>) -> ExitCode {
    attempt(arguments, cases).unwrap_or_else(|what| {
        eprintln!("error: {what}");
        ExitCode::from(SETUP_ERROR)
    })
}

fn attempt(arguments: &Arguments, cases: Vec<Case>) -> Result<ExitCode, String> {
    let settings = Settings::read()?;
    let planned = plan(cases, &settings.required, capability::probe);
    if arguments.list {
        let trials = planned.into_iter().map(|planned| bare(&planned)).collect();
        return Ok(libtest_mimic::run(arguments, trials).exit_code());
    }
    let results = Arc::new(open(arguments, &settings, &planned)?);
    let idle: Vec<String> =
        plan::idle(&settings.required, &planned).into_iter().map(Into::into).collect();
    let skipped = reasons(arguments, &planned);
    let executed = Arc::new(AtomicUsize::new(0));
    let trials = planned.into_iter().map(|planned| trial(planned, &results, &executed)).collect();
    let conclusion = libtest_mimic::run(arguments, trials);
    // nextest starts a process for every case and prints its own summary.
    if settings.shared_run.is_none() {
        for (reason, count) in skipped {
            println!("ignored {count:5} × {reason}");
        }
        for name in idle {
            println!("REQUIRE={name}: no case needs it");
        }
        println!("results {}", results.path().display());
    }
    let everything = filter(arguments).is_none();
    if everything && executed.load(Ordering::Relaxed) == 0 {
        return Err("everything was meant to run and no case did: nothing was checked".into());
    }
    Ok(conclusion.exit_code())
}

/// Opens the results file for this run and writes down what will not run on this machine.
fn open(
    arguments: &Arguments,
    settings: &Settings,
    planned: &[Planned],
) -> Result<Results, String> {
    // nextest decides what runs and tells each process only its own case; what is ignored at list
    // time is written for the whole suite by the process that starts the file.
    let shared = settings.shared_run.is_some();
    let begin = |id: &str| {
        let header = header(id, settings, planned.len(), filter(arguments).filter(|_| !shared));
        let chosen = |p: &&Planned| shared || selects(arguments, p);
        let lacking = planned.iter().filter(chosen).filter_map(record_if_ignored);
        (header, lacking.collect())
    };
    let shared_run = settings.shared_run.as_deref();
    Results::open(&settings.results, shared_run, begin)
        .map_err(|error| format!("results file {}: {error}", settings.results.display()))
}

/// The first line of a run.
pub fn header(id: &str, settings: &Settings, cases: usize, filter: Option<String>) -> RunHeader {
    RunHeader {
        schema: SCHEMA,
        id: id.into(),
        machine: Machine::here(&roots::project()),
        cases,
        filter,
        required: settings.required.clone(),
    }
}

fn record_if_ignored(planned: &Planned) -> Option<Record> {
    let missing = planned.missing.as_ref().filter(|_| planned.ignored)?;
    Some(ignored(&planned.case, missing))
}

/// What the command line leaves out, or `None` where everything is meant to run.
pub fn filter(arguments: &Arguments) -> Option<String> {
    let mut words: Vec<String> = arguments.filter.iter().cloned().collect();
    words.extend(arguments.skip.iter().map(|skip| format!("--skip {skip}")));
    let switches = [
        (arguments.exact, "--exact"),
        (arguments.ignored, "--ignored"),
        (arguments.bench && !arguments.test, "--bench"),
    ];
    words.extend(switches.iter().filter(|(on, _)| *on).map(|(_, word)| (*word).into()));
    (!words.is_empty()).then(|| words.join(" "))
}

/// Whether the command line asks for this case: libtest-mimic's own answer, the only one there is.
pub fn selects(arguments: &Arguments, planned: &Planned) -> bool {
    !arguments.is_filtered_out(&bare(planned))
}

/// A trial that only knows its name.
fn bare(planned: &Planned) -> Trial {
    Trial::test(planned.case.name.clone(), || Ok(())).with_ignored_flag(planned.ignored)
}

fn trial(planned: Planned, results: &Arc<Results>, executed: &Arc<AtomicUsize>) -> Trial {
    let (results, executed) = (Arc::clone(results), Arc::clone(executed));
    let Planned { case, missing, ignored } = planned;
    Trial::test(case.name.clone(), move || {
        executed.fetch_add(1, Ordering::Relaxed);
        results.begin(&case.name)?;
        let record = execute(&case, missing.as_deref());
        let ended = match record.verdict {
            Verdict::Fail => Err(Failed::from(record.reason.clone().unwrap_or_default())),
            _ => Ok(()),
        };
        results.end(record)?;
        ended
    })
    .with_ignored_flag(ignored)
}

/// Why selected cases are ignored, and how many for each reason.
fn reasons(arguments: &Arguments, planned: &[Planned]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    if !arguments.include_ignored && !arguments.ignored {
        for planned in planned.iter().filter(|p| p.ignored && selects(arguments, p)) {
            *counts.entry(planned.missing.clone().unwrap_or_default()).or_default() += 1;
        }
    }
    counts
}
