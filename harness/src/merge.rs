//! Several machines' results become one report. The rules: runs of different revisions do not mix;
//! the runs must know equally many cases, and the report must have heard of each of them; two lines
//! about one case unite as [`crate::record::unite`] says; nothing executed is red.

use crate::results::Report;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Unites the results files. `partial` allows cases that no run has heard of, as when one shard is
/// looked at alone.
pub fn files(paths: &[PathBuf], partial: bool) -> Result<Report, String> {
    let read = |path: &PathBuf| Report::read(Path::new(path));
    let reports = paths.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    reports_into_one(reports, partial)
}

/// Unites reports; see the module's rules.
pub fn reports_into_one(reports: Vec<Report>, partial: bool) -> Result<Report, String> {
    let (mut runs, mut records) = (Vec::new(), Vec::new());
    for report in reports {
        runs.extend(report.runs);
        records.extend(report.cases);
    }
    let revisions: BTreeSet<&str> = runs.iter().map(|r| r.machine.revision.as_str()).collect();
    if revisions.len() > 1 {
        let revisions = revisions.into_iter().collect::<Vec<_>>().join(", ");
        return Err(format!("the results are of different revisions: {revisions}"));
    }
    let sizes: BTreeSet<usize> = runs.iter().map(|run| run.cases).collect();
    if sizes.len() > 1 {
        return Err(format!("the runs know differently many cases: {sizes:?}"));
    }
    let report = Report::new(runs, records);
    if report.executed() == 0 {
        return Err("no case was executed in any of the results: nothing was checked".into());
    }
    let (heard, all) = (report.cases.len(), sizes.first().copied().unwrap_or(0));
    if heard != all && !partial {
        return Err(format!(
            "{heard} of {all} cases have a line: a shard is missing, or a run was filtered \
             (--partial allows that)"
        ));
    }
    Ok(report)
}
