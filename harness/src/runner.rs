//! Hands cases to libtest-mimic. Knows the command line, not what a case checks.

use crate::capability;
use crate::case::{Case, Run};
use libtest_mimic::{Arguments, Conclusion, Failed, Trial};

/// Runs `cases` as the command line asks.
pub fn run(arguments: &Arguments, cases: Vec<Case>) -> Conclusion {
    libtest_mimic::run(arguments, cases.into_iter().map(trial).collect())
}

fn trial(case: Case) -> Trial {
    let missing = case.needs.iter().find_map(|need| capability::probe(need).err());
    let Case { name, body, .. } = case;
    Trial::test(name, move || {
        let mut run = Run::default();
        body(&mut run).map_err(|failure| Failed::from(failure.text()))
    })
    .with_ignored_flag(missing.is_some())
}
