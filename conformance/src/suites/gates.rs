//! `tidy::gates` — `ci/gates.toml` can be read, and what it lists as required some case answers.
//! Patterns of gates that are not built yet may be empty here; `judge --gate N` is red on them.

use harness::gates::Gates;
use harness::{Case, roots};

/// The cases of this suite.
pub(super) fn cases() -> Vec<Case> {
    vec![Case::new("tidy::gates", |_| {
        let gates = Gates::read(&roots::project())?;
        let cases = super::all();
        let open: Vec<String> = gates
            .0
            .iter()
            .flat_map(|(name, gate)| {
                let open = gate.unanswered(cases.iter()).into_iter();
                open.map(move |id| format!("{name} lists {id}, and no case answers it"))
            })
            .collect();
        if open.is_empty() { Ok(()) } else { Err(open.join("\n").into()) }
    })]
}
