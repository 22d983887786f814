//! Whole runs of synthetic suites: exit code, what is said, and what stands in the results. One row
//! of the table is one case.

use super::child;
use harness::record::Verdict::{self, Deviation, Fail, Ignored, Pass};
use harness::results::Report;
use harness::{Case, Failure};

/// The runner's own exit codes.
const GREEN: Option<i32> = Some(0);
const RED: Option<i32> = Some(101);
const SETUP_ERROR: Option<i32> = Some(102);

struct Scenario {
    name: &'static str,
    /// See [`child`].
    suite: &'static str,
    /// `suite` or `judge`.
    who: &'static str,
    arguments: &'static [&'static str],
    set: &'static [(&'static str, &'static str)],
    code: Option<i32>,
    says: &'static [&'static str],
    /// Every case that has a line in the results.
    verdicts: &'static [(&'static str, Verdict)],
}

const PLAIN: Scenario = Scenario {
    name: "",
    suite: "",
    who: "suite",
    arguments: &[],
    set: &[],
    code: GREEN,
    says: &[],
    verdicts: &[],
};

const ABSENT: (&str, &str) = ("REQUIRE", "llama-cpp-models");

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "green",
        suite: "green",
        verdicts: &[("a::one", Pass), ("a::two", Pass), ("b::one-more", Pass)],
        ..PLAIN
    },
    Scenario {
        name: "no-cases-is-red",
        suite: "empty",
        code: RED,
        says: &["no case was found"],
        verdicts: &[("selftest::setup::no-cases", Fail)],
        ..PLAIN
    },
    Scenario {
        name: "duplicate-name-is-red",
        suite: "duplicate",
        code: RED,
        says: &["2 cases have this name"],
        verdicts: &[("a::one", Pass), ("a::same", Fail)],
        ..PLAIN
    },
    Scenario {
        name: "name-that-cannot-be-typed-is-red",
        suite: "bad-name",
        code: RED,
        says: &["case name \"no suite: at all\""],
        verdicts: &[("a::one", Pass), ("selftest::setup::name-1", Fail)],
        ..PLAIN
    },
    Scenario {
        name: "known-failure-is-a-deviation",
        suite: "known-failure",
        verdicts: &[("a::known", Deviation)],
        ..PLAIN
    },
    Scenario {
        name: "stale-known-failure-is-red",
        suite: "stale",
        code: RED,
        says: &["stale known failure", "issue 7"],
        verdicts: &[("a::one", Pass), ("a::stale", Fail)],
        ..PLAIN
    },
    Scenario {
        name: "declared-deviation",
        suite: "deviation",
        verdicts: &[("a::differs", Deviation)],
        ..PLAIN
    },
    Scenario {
        name: "absent-capability-is-ignored",
        suite: "lacking",
        says: &["1 × llama-cpp-models: ORCD_LLAMA_CPP_MODELS is not set"],
        verdicts: &[("a::lacks", Ignored), ("a::one", Pass)],
        ..PLAIN
    },
    Scenario {
        name: "what-is-set-to-nothing-is-not-set",
        suite: "lacking",
        set: &[
            ("REQUIRE", ""),
            ("ORCD_DEEP", ""),
            ("ORCD_GOLDEN_TOOL", ""),
            ("ORCD_LLAMA_CPP_MODELS", ""),
            ("ORCD_MODELS", ""),
            ("ORCD_KERNELS", ""),
            ("ORCD_NVRTC", ""),
            ("ORCD_TEXT", ""),
            ("ORCD_UNPOISONED", ""),
        ],
        says: &["1 × llama-cpp-models: ORCD_LLAMA_CPP_MODELS is not set"],
        verdicts: &[("a::lacks", Ignored), ("a::one", Pass)],
        ..PLAIN
    },
    Scenario {
        name: "absent-capability-forced-is-red",
        suite: "lacking",
        arguments: &["--ignored"],
        code: RED,
        says: &["ORCD_LLAMA_CPP_MODELS is not set"],
        verdicts: &[("a::lacks", Fail)],
        ..PLAIN
    },
    Scenario {
        name: "absent-capability-included-is-red",
        suite: "lacking-known-failure",
        arguments: &["--include-ignored"],
        code: RED,
        says: &["ORCD_LLAMA_CPP_MODELS is not set"],
        verdicts: &[("a::lacks", Fail), ("a::one", Pass)],
        ..PLAIN
    },
    Scenario {
        name: "required-capability-absent-is-red",
        suite: "lacking",
        set: &[ABSENT],
        code: RED,
        says: &["REQUIRE=llama-cpp-models, but ORCD_LLAMA_CPP_MODELS is not set"],
        verdicts: &[
            ("a::lacks", Fail),
            ("a::one", Pass),
            ("selftest::setup::require-llama-cpp-models", Fail),
        ],
        ..PLAIN
    },
    Scenario {
        name: "required-capability-absent-and-unneeded-is-red",
        suite: "deviation",
        set: &[ABSENT],
        code: RED,
        says: &["no case needs it"],
        verdicts: &[("a::differs", Deviation), ("selftest::setup::require-llama-cpp-models", Fail)],
        ..PLAIN
    },
    Scenario {
        name: "unknown-require-is-refused",
        suite: "green",
        set: &[("REQUIRE", "llama-cpp-models,cuba")],
        code: SETUP_ERROR,
        says: &["no capability 'cuba'", "cuda"],
        ..PLAIN
    },
    Scenario {
        name: "unknown-require-is-refused-when-listing",
        suite: "green",
        arguments: &["--list", "--format", "terse"],
        set: &[("REQUIRE", "cuba")],
        code: SETUP_ERROR,
        says: &["no capability 'cuba'"],
        ..PLAIN
    },
    Scenario {
        name: "unknown-variable-is-refused",
        suite: "green",
        set: &[("ORCD_typo", "1")],
        code: SETUP_ERROR,
        says: &["ORCD_typo: no such variable"],
        ..PLAIN
    },
    Scenario {
        name: "unknown-value-is-refused",
        suite: "green",
        set: &[("ORCD_DEEP", "yes")],
        code: SETUP_ERROR,
        says: &["ORCD_DEEP=yes: must be 0 or 1"],
        ..PLAIN
    },
    Scenario {
        name: "misspelt-need-is-red",
        suite: "misspelt-need",
        code: RED,
        says: &["needs the capability 'cuba'"],
        verdicts: &[("a::one", Pass), ("a::two", Fail)],
        ..PLAIN
    },
    Scenario {
        name: "nothing-executed-is-red",
        suite: "all-lacking",
        code: SETUP_ERROR,
        says: &["nothing was checked"],
        verdicts: &[("a::lacks", Ignored)],
        ..PLAIN
    },
    Scenario {
        name: "panic-is-red-and-placed",
        suite: "panic",
        code: RED,
        says: &["index out of bounds", "selftest/child.rs:", "--exact a::panics"],
        verdicts: &[("a::panics", Fail)],
        ..PLAIN
    },
    Scenario {
        name: "dead-process-is-red",
        suite: "abort",
        code: None,
        verdicts: &[("a::aborts", Fail)],
        ..PLAIN
    },
    Scenario {
        name: "figure-that-is-no-number-is-red",
        suite: "odd-figure",
        code: RED,
        says: &["figure 'nmse' is NaN"],
        verdicts: &[("a::measures", Fail)],
        ..PLAIN
    },
    Scenario {
        name: "filter",
        suite: "green",
        arguments: &["one"],
        verdicts: &[("a::one", Pass), ("b::one-more", Pass)],
        ..PLAIN
    },
    Scenario {
        name: "filter-and-skip",
        suite: "green",
        arguments: &["a::", "--skip", "two"],
        verdicts: &[("a::one", Pass)],
        ..PLAIN
    },
    Scenario {
        name: "exact",
        suite: "green",
        arguments: &["--exact", "a::one"],
        verdicts: &[("a::one", Pass)],
        ..PLAIN
    },
    Scenario {
        name: "judge-green",
        who: "judge",
        suite: "green",
        says: &["GREEN  3 pass, 0 fail, 0 deviation, 0 ignored"],
        verdicts: &[("a::one", Pass), ("a::two", Pass), ("b::one-more", Pass)],
        ..PLAIN
    },
    Scenario {
        name: "judge-filters-as-the-suite-does",
        who: "judge",
        suite: "green",
        arguments: &["a::", "--skip", "two"],
        verdicts: &[("a::one", Pass)],
        ..PLAIN
    },
    Scenario {
        name: "judge-exact",
        who: "judge",
        suite: "green",
        arguments: &["--exact", "a::one", "b::one"],
        verdicts: &[("a::one", Pass)],
        ..PLAIN
    },
    Scenario {
        name: "judge-red",
        who: "judge",
        suite: "red",
        code: Some(1),
        says: &["RED  1 pass, 1 fail", "1 is not 2", "cargo test --test suite -- --exact a::red"],
        verdicts: &[("a::one", Pass), ("a::red", Fail)],
        ..PLAIN
    },
    Scenario {
        name: "judge-known-failure",
        who: "judge",
        suite: "known-failure",
        says: &["known-failure (1): known failure: issue 7"],
        verdicts: &[("a::known", Deviation)],
        ..PLAIN
    },
    Scenario {
        name: "judge-no-cases-is-red",
        who: "judge",
        suite: "empty",
        code: Some(1),
        verdicts: &[("selftest::setup::no-cases", Fail)],
        ..PLAIN
    },
    Scenario {
        name: "judge-nothing-executed-is-red",
        who: "judge",
        suite: "all-lacking",
        code: Some(1),
        says: &["nothing ran"],
        verdicts: &[("a::lacks", Ignored)],
        ..PLAIN
    },
    Scenario {
        name: "judge-no-match-is-red",
        who: "judge",
        suite: "green",
        arguments: &["no-such-case"],
        code: Some(1),
        says: &["no case to judge"],
        ..PLAIN
    },
    Scenario {
        name: "judge-required-capability-absent-is-red",
        who: "judge",
        suite: "lacking",
        arguments: &["a::lacks"],
        set: &[ABSENT],
        code: Some(1),
        verdicts: &[("a::lacks", Fail)],
        ..PLAIN
    },
    Scenario {
        name: "judge-unknown-gate-is-refused",
        who: "judge",
        suite: "green",
        arguments: &["--gate", "99"],
        code: Some(2),
        says: &["no gate '99'"],
        ..PLAIN
    },
    Scenario {
        name: "judge-gate-without-cases-is-red",
        who: "judge",
        suite: "green",
        arguments: &["--gate", "1"],
        code: Some(1),
        says: &["is not built yet", "no case matches"],
        ..PLAIN
    },
];

pub(super) fn cases() -> Vec<Case> {
    let case = |scenario: &'static Scenario| {
        Case::new(format!("selftest::run::{}", scenario.name), |_| as_told(scenario))
            .requirements(["C24"])
    };
    let mut cases: Vec<Case> = SCENARIOS.iter().map(case).collect();
    cases.push(Case::new("selftest::run::narrow-lanes", |_| lanes()));
    cases
}

fn as_told(scenario: &Scenario) -> Result<(), Failure> {
    let Scenario { suite, who, arguments, set, code, says, verdicts, .. } = scenario;
    let folder = tempfile::tempdir()?;
    let results = folder.path().join("results.jsonl");
    let ended = child::run(suite, who, arguments, set, &results)?;
    if ended.code != *code {
        return Err(format!("exit {:?}, must be {code:?}\n{}", ended.code, ended.said).into());
    }
    if let Some(part) = says.iter().find(|part| !ended.said.contains(*part)) {
        return Err(format!("does not say {part:?}:\n{}", ended.said).into());
    }
    // A run that was refused must leave no results that look like a run.
    if verdicts.is_empty() {
        return match results.exists() {
            true => Err("left a results file".into()),
            false => Ok(()),
        };
    }
    let report = Report::read(&results)?;
    let found: Vec<(&str, Verdict)> =
        report.cases.iter().map(|case| (case.name.as_str(), case.verdict)).collect();
    match found == *verdicts {
        true => Ok(()),
        false => Err(format!("results hold {found:?}, must hold {verdicts:?}").into()),
    }
}

fn lanes() -> Result<(), Failure> {
    for (who, threads) in [("suite", "--test-threads=16"), ("judge", "--threads=16")] {
        let folder = tempfile::tempdir()?;
        let results = folder.path().join("results.jsonl");
        let ended = child::run("lanes", who, &[threads], &[], &results)?;
        if ended.code != GREEN {
            return Err(format!("{who}: {}", ended.said).into());
        }
    }
    Ok(())
}
