//! The scoreboard as Markdown, for a CI job's summary page.

use super::Board;
use std::fmt::Write;

/// The whole scoreboard.
pub fn render(board: &Board) -> String {
    let total = &board.total;
    let verdict = if board.green { "green" } else { "RED" };
    let mut text = format!(
        "## judge: {verdict}\n\n{} passed, {} failed, {} deviations, {} ignored\n\n",
        total.pass, total.fail, total.deviation, total.ignored
    );
    // Writing to a String cannot fail.
    let mut line = |line: String| {
        let _ = writeln!(text, "{line}");
    };
    line("| suite | backend | pass | fail | deviation | ignored | time |".into());
    line("|---|---|---:|---:|---:|---:|---:|".into());
    for row in &board.rows {
        let counts = &row.counts;
        line(format!(
            "| {} | {} | {} | {} | {} | {} | {} |",
            row.suite,
            row.backend,
            counts.pass,
            counts.fail,
            counts.deviation,
            counts.ignored,
            super::text::duration(row.ms)
        ));
    }
    for (reason, count) in &board.ignored {
        line(format!("\n- ignored {count}: {reason}"));
    }
    for deviation in &board.deviations {
        let (id, reason, count) = (&deviation.id, &deviation.reason, deviation.cases.len());
        line(format!("\n- deviation `{id}` in {count}: {reason}"));
    }
    for failure in &board.failures {
        let reason = failure.reason.as_deref().unwrap_or_default();
        // A fence longer than any in the text, so that a report cannot close it.
        line(format!("\n### {}\n\n`````text\n{reason}\n`````", failure.name));
    }
    text
}
