//! The results file: many processes write one run, a new run starts afresh, and files of several
//! machines become one verdict or a refusal.

use super::child;
use harness::record::{Record, RunHeader, Verdict, unite};
use harness::results::Report;
use harness::{Case, Failure, Lane, junit, merge};
use std::path::Path;

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, body: fn() -> Result<(), Failure>| {
        Case::new(format!("selftest::results::{name}"), move |_| body()).requirements(["C24"])
    };
    vec![
        case("many-processes-one-run", many_processes),
        case("listing-leaves-nothing", listing),
        case("merged-zero-is-red", || refused(&[all_ignored()], "nothing was checked")),
        case("merged-other-revision-is-red", || {
            let mut other = report(&[("a::x", Verdict::Pass)]);
            other.runs[0].machine.revision = "other".into();
            refused(&[report(&[("a::x", Verdict::Pass)]), other], "different revisions")
        }),
        case("merged-missing-shard-is-red", || {
            let mut shard = report(&[("a::x", Verdict::Pass)]);
            shard.runs[0].cases = 2;
            refused(&[shard], "1 of 2 cases have a line")
        }),
        case("merged-other-suite-is-red", || {
            let mut other = report(&[("a::x", Verdict::Pass)]);
            other.runs[0].cases = 7;
            refused(&[report(&[("a::x", Verdict::Pass)]), other], "differently many cases")
        }),
        case("merged-nothing-is-red", || refused(&[], "nothing was checked")),
        case("two-lines-one-verdict", unification),
        case("judge-merges", judge_merges),
        case("other-schema-is-refused", other_schema),
        case("junit-tells-verdicts-apart", junit_verdicts),
    ]
}

fn record(name: &str, verdict: Verdict, run: &str) -> Record {
    let reason = (verdict != Verdict::Pass).then(|| format!("reason of {name}"));
    Record {
        name: name.into(),
        verdict,
        reason,
        deviations: Vec::new(),
        figures: Vec::new(),
        ms: 1.5,
        requirements: Vec::new(),
        needs: Vec::new(),
        lane: Lane::Any,
        runs: vec![run.into()],
    }
}

fn report(cases: &[(&str, Verdict)]) -> Report {
    let header = RunHeader {
        schema: harness::record::SCHEMA,
        id: "r".into(),
        machine: harness::machine::Machine {
            os: "os".into(),
            cpu: "cpu".into(),
            threads: 1,
            features: Vec::new(),
            revision: "revision".into(),
            version: "0".into(),
            profile: "debug".into(),
        },
        cases: cases.len(),
        filter: None,
        required: Vec::new(),
    };
    Report::new(vec![header], cases.iter().map(|(name, verdict)| record(name, *verdict, "r")))
}

fn all_ignored() -> Report {
    report(&[("a::x", Verdict::Ignored), ("a::y", Verdict::Ignored)])
}

fn refused(reports: &[Report], says: &str) -> Result<(), Failure> {
    match merge::reports_into_one(reports.to_vec(), false) {
        Ok(_) => Err(format!("accepted, but must say {says:?}").into()),
        Err(what) if what.contains(says) => Ok(()),
        Err(what) => Err(format!("does not say {says:?}: {what}").into()),
    }
}

fn unification() -> Result<(), Failure> {
    use Verdict::{Deviation, Fail, Ignored, Pass};
    let rows = [
        (Ignored, Ignored, Ignored),
        (Ignored, Pass, Pass),
        (Ignored, Deviation, Deviation),
        (Ignored, Fail, Fail),
        (Pass, Pass, Pass),
        (Pass, Deviation, Fail),
        (Pass, Fail, Fail),
        (Deviation, Deviation, Deviation),
        (Deviation, Fail, Fail),
        (Fail, Fail, Fail),
    ];
    for (one, other, want) in rows {
        for (one, other) in [(one, other), (other, one)] {
            let united = unite(record("a::x", one, "r1"), record("a::x", other, "r2"));
            if united.verdict != want {
                let got = united.verdict;
                return Err(format!("{one:?} and {other:?} make {got:?}, not {want:?}").into());
            }
            let disagree = united.reason.unwrap_or_default().contains("runs disagree");
            if disagree != (one != other && one != Ignored && other != Ignored) {
                return Err(format!("{one:?} and {other:?}: disagreement {disagree}").into());
            }
        }
    }
    Ok(())
}

/// As nextest does it: a process for every case, at the same time, one id for all of them.
fn many_processes() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let results = folder.path().join("results.jsonl");
    let one = |name: &str, run: &str| {
        let ended =
            child::run("green", "suite", &["--exact", name], &[("NEXTEST_RUN_ID", run)], &results);
        ended.and_then(|ended| expect(ended.code == Some(0), &ended.said))
    };
    one("a::one", "earlier")?;
    let names = ["a::one", "a::two", "b::one-more"];
    std::thread::scope(|scope| {
        let running = names.map(|name| scope.spawn(move || one(name, "later")));
        running.map(|thread| thread.join().unwrap_or_else(|_| Err("panicked".into())))
    })
    .into_iter()
    .collect::<Result<(), Failure>>()?;
    let report = Report::read(&results)?;
    let found: Vec<&str> = report.cases.iter().map(|case| case.name.as_str()).collect();
    expect(found == names, &format!("the run holds {found:?}"))?;
    expect(report.runs.len() == 1, "more than one run began")?;
    expect(report.runs[0].id == "later", "the id is not nextest's")
}

fn listing() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let results = folder.path().join("results.jsonl");
    for (arguments, want) in [
        (&["--list", "--format", "terse"][..], "a::lacks: test"),
        (&["--list", "--format", "terse", "--ignored"][..], "a::lacks: test"),
    ] {
        let ended = child::run("lacking", "suite", arguments, &[], &results)?;
        expect(ended.code == Some(0) && ended.said.contains(want), &ended.said)?;
        let both = !arguments.contains(&"--ignored");
        expect(ended.said.contains("a::one: test") == both, &ended.said)?;
    }
    expect(!results.exists(), "listing left a results file")
}

fn judge_merges() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    let run = |arguments: &[&str], results: &Path| {
        child::run("green", "suite", arguments, &[], results).map(|_| ())
    };
    run(&["a::"], &path("a"))?;
    run(&["b::"], &path("b"))?;
    let merge = |files: &[&str]| {
        let files: Vec<String> =
            files.iter().map(|name| path(name).display().to_string()).collect();
        let out = path("merged").display().to_string();
        let mut arguments = vec!["merge", "--out", &out];
        arguments.extend(files.iter().map(String::as_str));
        child::run("green", "judge", &arguments, &[], &path("unused"))
    };
    let alone = merge(&["a"])?;
    expect(alone.code == Some(1) && alone.said.contains("2 of 3 cases"), &alone.said)?;
    let both = merge(&["a", "b"])?;
    expect(both.code == Some(0) && both.said.contains("GREEN  3 pass"), &both.said)?;
    let merged = Report::read(&path("merged"))?;
    expect(merged.cases.len() == 3 && merged.runs.len() == 2, "the merged file lacks lines")?;
    let text = merged.text()?;
    expect(Report::parse(&text)? == merged, "the merged file reads back differently")
}

fn other_schema() -> Result<(), Failure> {
    let text = report(&[("a::x", Verdict::Pass)]).text()?;
    Report::parse(&text)?;
    let newer = text.replace("\"schema\":1", "\"schema\":2");
    expect(Report::parse(&newer).is_err(), "schema 2 was read")?;
    expect(Report::parse("").is_err(), "an empty file was read")?;
    let unknown = text.replace("\"ms\":", "\"seconds\":");
    expect(Report::parse(&unknown).is_err(), "an unknown key was read")
}

fn junit_verdicts() -> Result<(), Failure> {
    use Verdict::{Deviation, Fail, Ignored, Pass};
    let cases = [("a::d", Deviation), ("a::f", Fail), ("a::i", Ignored), ("a::p", Pass)];
    let xml = junit::xml(&report(&cases))?;
    for part in [
        r#"tests="4" skipped="1" errors="0" failures="1""#,
        r#"<skipped message="reason of a::i"/>"#,
        r#"<failure message="reason of a::f">"#,
        "<system-out>deviation: reason of a::d</system-out>",
    ] {
        expect(xml.contains(part), &format!("no {part} in\n{xml}"))?;
    }
    Ok(())
}

fn expect(holds: bool, otherwise: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}
