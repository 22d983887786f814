//! `tidy::` — what must be true of the text of this project, so that a reader can trust its shape.
//! A rule is a function over (path, text) and comes with examples that break it; `selftest::tidy::`
//! proves that each example turns its rule red. Limits and lists stand in `ci/tidy.toml`.

mod config;
mod documents;
mod licences;
mod mask;
mod project;
mod source;
mod supply;
mod tree;

use config::Config;
use harness::{Case, Failure};
use tree::Tree;

/// One rule.
#[derive(Clone, Copy)]
struct Rule {
    name: &'static str,
    /// Findings, each with its place; none is green.
    check: fn(&Tree, &Config) -> Vec<String>,
    /// Trees that must each be red, one for every way to break the rule.
    broken: fn(&Config) -> Vec<Tree>,
}

const RULES: [&[Rule]; 4] = [source::RULES, project::RULES, documents::RULES, supply::RULES];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = licences::cases();
    for rule in RULES.into_iter().flatten().copied() {
        cases.push(Case::new(format!("tidy::{}", rule.name), move |_| {
            let tree = tree::project()?;
            let findings = (rule.check)(tree, &config::read(tree)?);
            verdict(findings)
        }));
        cases.push(Case::new(format!("selftest::tidy::{}", rule.name), move |_| {
            let config = config::read(tree::project()?)?;
            selftest(&rule, &config)
        }));
    }
    cases
}

fn verdict(findings: Vec<String>) -> Result<(), Failure> {
    match findings.len() {
        0 => Ok(()),
        count => Err(format!("{count} findings\n  {}", findings.join("\n  ")).into()),
    }
}

fn selftest(rule: &Rule, config: &Config) -> Result<(), Failure> {
    let broken = (rule.broken)(config);
    if broken.is_empty() {
        return Err("no example breaks this rule, so nothing shows that it can".into());
    }
    for (index, tree) in broken.iter().enumerate() {
        if (rule.check)(tree, config).is_empty() {
            let paths: Vec<&str> = tree.files.iter().map(|file| file.path.as_str()).collect();
            return Err(format!("broken example {index} ({paths:?}) is green").into());
        }
    }
    Ok(())
}
