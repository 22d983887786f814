//! Decides, before anything runs, what each case is: runnable, lacking something on this machine,
//! or wrong in itself. What is wrong becomes a red case, so that no runner can overlook it.

use crate::capability;
use crate::case::Case;
use crate::name;
use std::collections::{BTreeMap, BTreeSet};

/// A case and what this machine says about it.
pub struct Planned {
    /// The case.
    pub case: Case,
    /// What is missing here, if anything.
    pub missing: Option<String>,
    /// Ignored at list time. A case that lacks something required is not: it runs, and is red.
    pub ignored: bool,
}

/// Checks the cases against each other and against this machine. `probe` answers for a capability;
/// `required` capabilities must be present.
pub fn plan(
    cases: Vec<Case>,
    required: &[String],
    probe: impl Fn(&str) -> Result<(), String>,
) -> Vec<Planned> {
    let mut cases = if cases.is_empty() {
        let what = "no case was found: the suite checks nothing";
        vec![red("selftest::setup::no-cases".into(), what.into())]
    } else {
        distinct(cases)
    };
    // Red even if no case needs it: whoever requires a GPU must not be green on a machine without.
    for name in required {
        if let Err(reason) = probe(name) {
            let what = format!("REQUIRE={name}, but {reason}");
            cases.push(red(format!("selftest::setup::require-{name}"), what));
        }
    }
    cases.into_iter().map(|case| planned(case, required, &probe)).collect()
}

fn planned(case: Case, required: &[String], probe: impl Fn(&str) -> Result<(), String>) -> Planned {
    if let Some(unknown) = case.needs.iter().find(|need| capability::row(need).is_none()) {
        let known = capability::names().join(", ");
        let what = format!("needs the capability '{unknown}', but there are: {known}");
        return Planned { case: red(case.name, what), missing: None, ignored: false };
    }
    let lacks = |need: &String| {
        let reason = probe(need).err()?;
        let insisted = required.contains(need);
        let sign = if insisted { format!("REQUIRE={need}, but ") } else { format!("{need}: ") };
        Some((format!("{sign}{reason}"), insisted))
    };
    let missing: Vec<(String, bool)> = case.needs.iter().filter_map(lacks).collect();
    let insisted = missing.iter().any(|(_, insisted)| *insisted);
    let reasons: Vec<String> = missing.into_iter().map(|(reason, _)| reason).collect();
    let missing = (!reasons.is_empty()).then(|| reasons.join("; "));
    Planned { case, ignored: missing.is_some() && !insisted, missing }
}

/// One case a name, each with a name that can be typed.
fn distinct(cases: Vec<Case>) -> Vec<Case> {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for case in &cases {
        *count.entry(case.name.clone()).or_default() += 1;
    }
    let (mut seen, mut kept) = (BTreeSet::new(), Vec::with_capacity(cases.len()));
    for case in cases {
        let times = count[&case.name];
        if !seen.insert(case.name.clone()) {
            continue;
        }
        kept.push(match name::check(&case.name) {
            Err(what) => red(format!("selftest::setup::name-{}", kept.len()), what),
            Ok(()) if times > 1 => {
                let what = format!("{times} cases have this name, and none of them was run");
                red(case.name, what)
            }
            Ok(()) => case,
        });
    }
    kept
}

fn red(name: String, what: String) -> Case {
    Case::new(name, move |_| Err(what.as_str().into()))
}

/// Required capabilities that no case needs: allowed, but worth a word.
pub fn idle<'a>(required: &'a [String], planned: &[Planned]) -> Vec<&'a str> {
    let needed = |name: &str| planned.iter().any(|p| p.case.needs.iter().any(|n| n == name));
    required.iter().map(String::as_str).filter(|name| !needed(name)).collect()
}
