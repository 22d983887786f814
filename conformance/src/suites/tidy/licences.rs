//! `tidy::licences` — every crate that the workspace builds has a licence we can ship under. Asks
//! `cargo metadata`, which reads the manifests of the crates themselves.

use super::config::{self, SupplyChain};
use super::{tree, verdict};
use harness::{Case, Failure, roots};
use serde::Deserialize;
use std::process::Command;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("tidy::licences", |run| {
            let packages = packages()?;
            run.figure("crates", packages.len() as f64, "");
            verdict(findings(&packages, &policy()?))
        })
        .needs("cargo"),
        Case::new("selftest::tidy::licences", |_| selftest(&policy()?)),
    ]
}

fn policy() -> Result<SupplyChain, String> {
    Ok(config::read(tree::project()?)?.supply_chain)
}

fn packages() -> Result<Vec<Package>, Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    // Offline and for this platform only: exactly what was built is on this disk already.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", &platform])
        .current_dir(roots::project())
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cargo metadata: {}: {said}", output.status).into());
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    Ok(metadata.packages)
}

fn findings(packages: &[Package], policy: &SupplyChain) -> Vec<String> {
    if packages.is_empty() {
        return vec!["cargo metadata lists no package".into()];
    }
    let mut findings = Vec::new();
    for Package { name, version, license } in packages {
        let judged = match license {
            Some(expression) => allows(policy, expression),
            None => Err("names no licence".into()),
        };
        if let Err(why) = judged {
            findings.push(format!("{name} {version}: {why}"));
        }
    }
    findings
}

/// Whether the policy allows an SPDX expression. `/` is cargo's old spelling of OR.
fn allows(policy: &SupplyChain, expression: &str) -> Result<(), String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words: Vec<&str> = spaced.split_whitespace().rev().collect();
    let allowed = any(policy, &mut words);
    match (allowed, words.last()) {
        (_, Some(_)) | (None, _) => Err(format!("'{expression}' is no SPDX expression")),
        (Some(false), None) => Err(format!("'{expression}' is not on the list")),
        (Some(true), None) => Ok(()),
    }
}

/// The three levels of an SPDX expression; `words` is reversed, `None` is a syntax error.
fn any(policy: &SupplyChain, words: &mut Vec<&str>) -> Option<bool> {
    let mut result = every(policy, words)?;
    while words.pop_if(|word| *word == "OR").is_some() {
        result |= every(policy, words)?;
    }
    Some(result)
}

fn every(policy: &SupplyChain, words: &mut Vec<&str>) -> Option<bool> {
    let mut result = term(policy, words)?;
    while words.pop_if(|word| *word == "AND").is_some() {
        result &= term(policy, words)?;
    }
    Some(result)
}

fn term(policy: &SupplyChain, words: &mut Vec<&str>) -> Option<bool> {
    match words.pop()? {
        "(" => {
            let inner = any(policy, words)?;
            words.pop_if(|word| *word == ")").map(|_| inner)
        }
        ")" | "OR" | "AND" | "WITH" => None,
        id => {
            let mut result = policy.licences.iter().any(|licence| licence == id);
            if words.pop_if(|word| *word == "WITH").is_some() {
                let exception = words.pop()?;
                result &= policy.exceptions.iter().any(|e| e == exception);
            }
            Some(result)
        }
    }
}

fn selftest(policy: &SupplyChain) -> Result<(), Failure> {
    let package = |license: Option<&str>| Package {
        name: "a".into(),
        version: "1.0.0".into(),
        license: license.map(Into::into),
    };
    let refused = [
        None,
        Some(""),
        Some("GPL-3.0"),
        Some("MIT AND GPL-3.0"),
        Some("GPL-3.0 OR (MIT AND AGPL-3.0)"),
        Some("MIT WITH other-exception"),
        Some("MIT OR"),
        Some("(MIT"),
        Some("MIT Apache-2.0"),
    ];
    for licence in refused {
        if findings(&[package(licence)], policy).is_empty() {
            return Err(format!("{licence:?} is allowed").into());
        }
    }
    if findings(&[], policy).is_empty() {
        return Err("no packages at all are allowed".into());
    }
    let allowed = [
        "MIT",
        "MIT/GPL-3.0",
        "GPL-3.0 OR MIT AND Apache-2.0",
        "(MIT OR GPL-3.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception",
    ];
    verdict(allowed.iter().flat_map(|l| findings(&[package(Some(l))], policy)).collect())
}
