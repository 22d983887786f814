//! JUnit XML from a report, for CI pages. A deviation is a success that says so; what was ignored
//! carries its reason.

use crate::record::{Record, Verdict};
use crate::results::Report;
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use std::collections::BTreeMap;
use std::time::Duration;

/// The report as JUnit XML; a JUnit suite is the first segment of the names.
pub fn xml(report: &Report) -> Result<String, String> {
    let mut suites: BTreeMap<&str, TestSuite> = BTreeMap::new();
    for record in &report.cases {
        let name = record.name.split("::").next().unwrap_or_default();
        suites.entry(name).or_insert_with(|| TestSuite::new(name)).add_test_case(case(record));
    }
    let mut junit = quick_junit::Report::new("worker-orcd");
    junit.add_test_suites(suites.into_values());
    junit.to_string().map_err(|error| format!("JUnit: {error}"))
}

fn case(record: &Record) -> TestCase {
    let reason = record.reason.as_deref().unwrap_or_default();
    let first = reason.lines().next().unwrap_or_default();
    let status = match record.verdict {
        Verdict::Pass | Verdict::Deviation => TestCaseStatus::success(),
        Verdict::Ignored => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(reason);
            status
        }
        Verdict::Fail => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(first).set_description(reason);
            status
        }
    };
    let mut case = TestCase::new(record.name.as_str(), status);
    case.set_time(Duration::from_secs_f64((record.ms / 1e3).max(0.0)));
    if record.verdict == Verdict::Deviation {
        case.set_system_out(format!("deviation: {reason}"));
    }
    case
}
