//! Records how the reference library renders chat templates, one snapshot per template. Knows the
//! layout of a snapshot; the script knows the library.

use crate::area::Recording;
use crate::store::root;
use crate::{Result, oracle};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

const SCRIPT: &str = "render_templates.py";
const CONVERSATIONS: &str = "inputs/conversations.json";
const TEMPLATES: &str = "inputs/templates";

/// Stands behind the last character of a rendering: a final line break is part of a prompt, and
/// nobody would see that one is missing.
const END: &str = "⟨end⟩";

#[derive(Deserialize)]
struct Answers {
    oracle: String,
    /// Template → conversation → text.
    answers: BTreeMap<String, BTreeMap<String, String>>,
}

pub(crate) fn record() -> Result<Recording> {
    let asked = fs::read(root().join(CONVERSATIONS))?;
    let answers = oracle::ask(SCRIPT, &[TEMPLATES], &asked)?;
    let Answers { oracle, answers } = serde_json::from_slice(&answers)?;
    let asked: Value = serde_json::from_slice(&asked)?;
    let date = asked["date"].as_str().ok_or("conversations.json names no date")?;
    let mut files = BTreeMap::new();
    let mut inputs = oracle::inputs(&[SCRIPT]);
    inputs.push(CONVERSATIONS.into());
    for (template, renderings) in &answers {
        inputs.push(format!("{TEMPLATES}/{template}.jinja"));
        let text = snapshot(template, &oracle, date, renderings)?;
        files.insert(format!("templates/{template}.snap"), text.into_bytes());
    }
    let provenance = BTreeMap::from([
        ("oracle".into(), oracle),
        ("date".into(), format!("templates see {date}, whenever they are rendered")),
        ("threads".into(), "1".into()),
    ]);
    Ok(Recording { provenance, inputs, files })
}

fn snapshot(
    template: &str,
    oracle: &str,
    date: &str,
    renderings: &BTreeMap<String, String>,
) -> Result<String> {
    let mut text = format!(
        "---\nsource: golden/oracles/{SCRIPT}\ndescription: \"{template}.jinja rendered by \
         {oracle} on {date}; each text ends before {END}\"\n---\n"
    );
    for (conversation, rendering) in renderings {
        let mut lines = rendering.split('\n');
        if rendering.contains(END) || lines.any(|line| line.starts_with("=== ")) {
            return Err(format!("{template}: {conversation} holds the marks of a snapshot").into());
        }
        writeln!(text, "=== {conversation}\n{rendering}{END}")?;
    }
    Ok(text)
}
