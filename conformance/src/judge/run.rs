//! Runs the chosen cases and shows what came of them.

use super::{RunArguments, show, write};
use harness::board::text::Paint;
use harness::environment::Settings;
use harness::execute::ignored;
use harness::gates::Gates;
use harness::plan::{self, Planned};
use harness::record::{Record, Verdict};
use harness::results::{Report, Results};
use harness::{Case, capability, junit, pool, roots, runner};
use indicatif::{ProgressBar, ProgressStyle};
use libtest_mimic::Arguments;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the command line asks for.
struct Choice<'a> {
    cases: Vec<&'a Planned>,
    /// What the gate lacks; a gate is red until nothing is missing.
    unbuilt: Vec<String>,
}

/// True when green.
pub(super) fn run(arguments: &RunArguments, cases: Vec<Case>) -> Result<bool, String> {
    let settings = Settings::read()?;
    let planned = plan::plan(cases, &settings.required, capability::probe);
    let choice = choose(arguments, &planned)?;
    let green = if choice.cases.is_empty() {
        eprintln!("RED  no case to judge, so nothing was checked");
        false
    } else if arguments.list {
        list(&choice.cases);
        true
    } else {
        judge(arguments, &settings, &planned, &choice.cases)?
    };
    for lack in &choice.unbuilt {
        eprintln!("RED  {lack}");
    }
    Ok(green && choice.unbuilt.is_empty())
}

fn list(cases: &[&Planned]) {
    for planned in cases {
        let name = &planned.case.name;
        match &planned.missing {
            Some(missing) => say(&format!("{name}  (lacks {missing})")),
            None => say(name),
        }
    }
}

/// Runs `chosen`, shows the scoreboard and leaves the results.
fn judge(
    arguments: &RunArguments,
    settings: &Settings,
    planned: &[Planned],
    chosen: &[&Planned],
) -> Result<bool, String> {
    let (lacking, runnable): (Vec<&Planned>, Vec<&Planned>) =
        chosen.iter().partition(|planned| planned.ignored);
    let results = Results::open(&settings.results, None, |id| {
        let header = runner::header(id, settings, planned.len(), what_was_asked(arguments));
        let missing = |p: &&Planned| ignored(&p.case, p.missing.as_deref().unwrap_or_default());
        (header, lacking.iter().map(missing).collect())
    })
    .map_err(|error| format!("{}: {error}", settings.results.display()))?;
    let progress = progress(runnable.len());
    let failed = AtomicUsize::new(0);
    let watch = |name: &str, ended: Option<&Record>| watch(&progress, &failed, name, ended);
    pool::run(&runnable, threads(arguments), &results, watch)
        .map_err(|error| format!("{}: {error}", results.path().display()))?;
    progress.finish_and_clear();
    for name in plan::idle(&settings.required, planned) {
        eprintln!("note: REQUIRE={name}: no case needs it");
    }
    let report = Report::read(results.path())?;
    let green = show(&report, arguments.json)?;
    let xml = results.path().with_file_name("junit.xml");
    write(&xml, &junit::xml(&report)?)?;
    if !arguments.json {
        say(&format!("\nresults  {}\njunit    {}", results.path().display(), xml.display()));
    }
    Ok(green)
}

/// The cases that the command line asks for, and what its gate lacks.
fn choose<'a>(arguments: &RunArguments, planned: &'a [Planned]) -> Result<Choice<'a>, String> {
    let filters = filters(arguments);
    let selected = |planned: &&Planned| filters.iter().any(|one| runner::selects(one, planned));
    let mut chosen: Vec<&Planned> = planned.iter().filter(selected).collect();
    let Some(wanted) = &arguments.gate else {
        return Ok(Choice { cases: chosen, unbuilt: Vec::new() });
    };
    let gates = Gates::read(&roots::project())?;
    let (name, gate) = gates.find(wanted)?;
    let cases = || planned.iter().map(|planned| &planned.case);
    let empty = gate.empty_patterns(cases());
    let empty = empty.iter().map(|pattern| format!("no case matches {pattern}"));
    let unanswered = gate.unanswered(cases());
    let unanswered = unanswered.iter().map(|id| format!("no case answers {id}"));
    let unbuilt = empty.chain(unanswered).map(|what| format!("{name} is not built yet: {what}"));
    chosen.retain(|planned| gate.holds(&planned.case.name));
    Ok(Choice { cases: chosen, unbuilt: unbuilt.collect() })
}

/// libtest knows one filter; several are asked one after the other.
fn filters(arguments: &RunArguments) -> Vec<Arguments> {
    let one = |filter: Option<String>| Arguments {
        filter,
        skip: arguments.skip.clone(),
        exact: arguments.exact,
        ..Arguments::default()
    };
    match arguments.filter.is_empty() {
        true => vec![one(None)],
        false => arguments.filter.iter().cloned().map(|filter| one(Some(filter))).collect(),
    }
}

/// The command line's choice for the results file, `None` where it is everything.
fn what_was_asked(arguments: &RunArguments) -> Option<String> {
    let gate = arguments.gate.iter().map(|gate| format!("--gate {gate}"));
    let filters = filters(arguments).into_iter().filter_map(|one| runner::filter(&one));
    let words: Vec<String> = gate.chain(filters).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

fn threads(arguments: &RunArguments) -> usize {
    let processors = || std::thread::available_parallelism().map_or(1, |threads| threads.get());
    arguments.threads.map_or_else(processors, |threads| threads.get())
}

/// Prints for a reader who may have gone away: `judge | head` is no error.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A line that moves where someone looks at it, and nothing elsewhere.
fn progress(cases: usize) -> ProgressBar {
    let bar = ProgressBar::new(cases as u64);
    let template = "{bar:24} {pos}/{len} {elapsed} {prefix}{wide_msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

fn watch(progress: &ProgressBar, failed: &AtomicUsize, name: &str, ended: Option<&Record>) {
    let Some(record) = ended else { return progress.set_message(name.to_owned()) };
    if record.verdict == Verdict::Fail {
        let count = failed.fetch_add(1, Ordering::Relaxed) + 1;
        progress.set_prefix(format!("{count} red "));
    }
    progress.inc(1);
}

/// Colour where a terminal shows it and nobody declined (<https://no-color.org>).
pub(super) fn paint() -> Paint {
    let declined = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    Paint { on: std::io::stdout().is_terminal() && !declined }
}
