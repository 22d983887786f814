//! The scoreboard for a terminal. Colour only where the caller says so.

use super::{Board, Counts};
use comfy_table::{Cell, CellAlignment, Table, presets};

/// Writes text in colour, or not.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    /// Whether colour is wanted.
    pub on: bool,
}

impl Paint {
    /// Red, for what failed.
    pub fn red(self, text: &str) -> String {
        self.code("1;31", text)
    }

    /// Green, for what holds.
    pub fn green(self, text: &str) -> String {
        self.code("1;32", text)
    }

    /// Yellow, for what needs a word.
    pub fn yellow(self, text: &str) -> String {
        self.code("33", text)
    }

    /// Bold, for headings.
    pub fn bold(self, text: &str) -> String {
        self.code("1", text)
    }

    fn code(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.into() }
    }
}

/// The whole scoreboard, failures in full.
pub fn render(board: &Board, paint: Paint) -> String {
    let mut parts = Vec::new();
    if !board.requirements.is_empty() {
        parts.push(format!("{}\n{}", paint.bold("requirement → cases"), requirements(board)));
    }
    parts.push(suites(board));
    if !board.deviations.is_empty() {
        let lines = board.deviations.iter().map(|deviation| {
            let (id, count) = (paint.yellow(&deviation.id), deviation.cases.len());
            format!("  {id} ({count}): {}", deviation.reason)
        });
        parts.push(section(paint, "different on purpose", lines));
    }
    if !board.ignored.is_empty() {
        let lines = board.ignored.iter().map(|(reason, count)| format!("  {count:5} × {reason}"));
        parts.push(section(paint, "ignored, because this machine lacks", lines));
    }
    let slowest = board.slowest.iter().map(|(name, ms)| format!("  {:>8} {name}", duration(*ms)));
    parts.push(section(paint, "slowest", slowest));
    parts.push(section(paint, "ran on", board.machines.iter().map(|line| format!("  {line}"))));
    // Nearest to where the reader looks first.
    parts.extend(board.failures.iter().map(|failure| {
        let reason = failure.reason.as_deref().unwrap_or_default();
        format!("{} {}\n{}", paint.red("FAIL"), failure.name, indent(reason))
    }));
    parts.push(verdict(board, paint));
    parts.join("\n\n")
}

fn section(paint: Paint, title: &str, lines: impl Iterator<Item = String>) -> String {
    let lines: Vec<String> = lines.collect();
    format!("{}\n{}", paint.bold(title), lines.join("\n"))
}

fn verdict(board: &Board, paint: Paint) -> String {
    let Counts { pass, fail, deviation, ignored } = board.total;
    let counts = format!("{pass} pass, {fail} fail, {deviation} deviation, {ignored} ignored");
    match (board.green, board.total.executed()) {
        (true, _) => format!("{}  {counts}", paint.green("GREEN")),
        (false, 0) => {
            format!("{}  nothing ran, so nothing was checked; {counts}", paint.red("RED"))
        }
        (false, _) => format!("{}  {counts}", paint.red("RED")),
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec());
    table
}

fn number(count: usize) -> Cell {
    let text = if count == 0 { "·".to_owned() } else { count.to_string() };
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn counts(counts: &Counts) -> [Cell; 4] {
    [counts.pass, counts.fail, counts.deviation, counts.ignored].map(number)
}

fn suites(board: &Board) -> String {
    let mut table = table(&["suite", "backend", "pass", "fail", "deviation", "ignored", "time"]);
    for row in &board.rows {
        let mut cells = vec![Cell::new(&row.suite), Cell::new(&row.backend)];
        cells.extend(counts(&row.counts));
        cells.push(Cell::new(duration(row.ms)).set_alignment(CellAlignment::Right));
        table.add_row(cells);
    }
    trimmed(&table)
}

fn requirements(board: &Board) -> String {
    let mut table = table(&["id", "pass", "fail", "deviation", "ignored", "cases"]);
    for requirement in &board.requirements {
        let mut cells = vec![Cell::new(&requirement.id)];
        cells.extend(counts(&requirement.counts));
        let first = requirement.cases.first().map(String::as_str).unwrap_or_default();
        let more = match requirement.cases.len() {
            0 | 1 => first.to_owned(),
            some => format!("{first} and {} more", some - 1),
        };
        cells.push(Cell::new(more));
        table.add_row(cells);
    }
    trimmed(&table)
}

fn trimmed(table: &Table) -> String {
    let text = table.to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// A time as people say it.
pub fn duration(ms: f64) -> String {
    match ms {
        ms if ms >= 60_000.0 => format!("{:.1} min", ms / 60_000.0),
        ms if ms >= 1000.0 => format!("{:.1} s", ms / 1000.0),
        ms if ms >= 10.0 => format!("{ms:.0} ms"),
        ms => format!("{ms:.1} ms"),
    }
}
