//! What `inspect` shows to people. Everything that comes from a file is escaped and cut to fit a
//! line.

use super::inspect::Understood;
use super::rows::{Row, rows};
use super::{human, needs, tokens};
use crate::error::shown;
use crate::loader::gguf::Value;
use crate::loader::{Container, Gguf};
use crate::quant::Format;
use crate::quant::convert::Loss;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use std::path::Path;

/// How many elements of an array are shown.
const SHOWN_ITEMS: usize = 5;

/// What the summary says about an architecture, and the key (after the architecture's name) that
/// knows it.
const HYPERPARAMETERS: &[(&str, &str)] = &[
    ("layers", "block_count"),
    ("embedding", "embedding_length"),
    ("feed-forward", "feed_forward_length"),
    ("heads", "attention.head_count"),
    ("KV heads", "attention.head_count_kv"),
    ("head size", "attention.key_length"),
    ("sliding window", "attention.sliding_window"),
    ("experts", "expert_count"),
    ("experts used", "expert_used_count"),
    ("context", "context_length"),
];

/// One line a fact: what the file is and what model it holds.
pub(super) fn summary(container: &Container, path: &Path, found: Understood) -> Table {
    let mut table = table(&[]);
    let mut fact = |name: &str, value: String| {
        table.add_row([name, &value]);
    };
    fact("file", shown(path.as_os_str().as_encoded_bytes()));
    let rows = rows(container);
    match container {
        Container::Gguf(file) => {
            let (version, alignment) = (file.version(), file.alignment());
            fact("container", format!("GGUF version {version}, alignment {alignment}"));
            if file.parts().len() > 1 {
                fact("parts", file.parts().len().to_string());
            }
            architecture(file, &mut fact);
        }
        Container::SafeTensors(_) => fact("container", "safetensors".into()),
    }
    for (name, value) in found.tokenizer.map(tokens::facts).unwrap_or_default() {
        fact(name, value);
    }
    let elements = rows.iter().fold(0u64, |sum, row| sum.saturating_add(row.elements()));
    let bytes: u64 = rows.iter().map(|row| row.bytes).sum();
    let size = human::bytes(bytes);
    fact("tensors", format!("{}, {size} ({bytes} bytes)", rows.len()));
    if elements > 0 {
        let bits = bytes as f64 * 8.0 / elements as f64;
        let count = human::count(elements);
        fact("elements", format!("{count} ({elements}), {bits:.2} bits each"));
    }
    for (name, value) in found.needs.map(needs::facts).unwrap_or_default() {
        fact(name, value);
    }
    table
}

fn architecture(file: &Gguf, fact: &mut dyn FnMut(&str, String)) {
    let metadata = file.metadata();
    let text = |key: &str| match metadata.get(key) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    if let Some(name) = text("general.name") {
        fact("name", shown(name));
    }
    let Some(architecture) = text("general.architecture") else { return };
    fact("architecture", shown(architecture));
    for (name, key) in HYPERPARAMETERS {
        let key = format!("{}.{key}", String::from_utf8_lossy(architecture));
        if let Some(value) = metadata.get(&key) {
            fact(name, brief(value));
        }
    }
    if let Some(Value::Array(tokens)) = metadata.get("tokenizer.ggml.tokens") {
        fact("vocabulary", tokens.len().to_string());
    }
}

/// One row a type: how many tensors have it and what they weigh. Nothing without tensors.
pub(super) fn types(rows: &[Row]) -> Option<Table> {
    let mut totals: Vec<(&str, u64, u64, u64)> = Vec::new();
    for row in rows {
        let at = totals.iter().position(|(kind, ..)| *kind == row.kind).unwrap_or_else(|| {
            totals.push((row.kind, 0, 0, 0));
            totals.len() - 1
        });
        let (_, count, elements, bytes) = &mut totals[at];
        *count += 1;
        *elements = elements.saturating_add(row.elements());
        *bytes += row.bytes;
    }
    totals.sort_by_key(|(kind, .., bytes)| (std::cmp::Reverse(*bytes), *kind));
    let all: u64 = rows.iter().map(|row| row.bytes).sum();
    let mut table = table(&["type", "tensors", "elements", "size", "share"]);
    for (kind, count, elements, bytes) in totals {
        let share = format!("{:.1} %", bytes as f64 * 100.0 / all.max(1) as f64);
        let (elements, bytes) = (human::count(elements), human::bytes(bytes));
        table.add_row([kind, &count.to_string(), &elements, &bytes, &share]);
    }
    numbers(&mut table, 1..5);
    (!rows.is_empty()).then_some(table)
}

/// One row a key.
pub(super) fn metadata(container: &Container) -> Table {
    let mut table = table(&["key", "type", "value"]);
    match container {
        Container::Gguf(file) => {
            for (key, value) in file.metadata().iter() {
                table.add_row([bare(key), value.type_name(), brief(value)]);
            }
        }
        Container::SafeTensors(file) => {
            for (key, value) in &file.layout().metadata {
                table.add_row([bare(key), "string".into(), shown(value)]);
            }
        }
    }
    table
}

/// One row a tensor.
pub(super) fn tensors(rows: &[Row]) -> Table {
    let mut table = table(&["tensor", "type", "shape", "offset", "size"]);
    for Row { name, kind, shape, offset, bytes } in rows {
        let shape = format!("{shape:?}");
        table.add_row([&*bare(name), *kind, &shape, &offset.to_string(), &human::bytes(*bytes)]);
    }
    numbers(&mut table, 3..5);
    table
}

pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if !header.is_empty() {
        table.set_header(header);
    }
    table
}

fn numbers(table: &mut Table, columns: std::ops::Range<usize>) {
    let columns = table.column_iter_mut().skip(columns.start).take(columns.len());
    columns.for_each(|column| {
        column.set_cell_alignment(CellAlignment::Right);
    });
}

/// A name without quotes where it needs none.
pub(super) fn bare(name: &str) -> String {
    let quoted = shown(name);
    match quoted.len() == name.len() + 2 {
        true => name.to_owned(),
        false => quoted,
    }
}

/// A value in one line: the first elements of an array, the first characters of a string.
fn brief(value: &Value) -> String {
    let Value::Array(array) = value else { return value.text() };
    let mut items: Vec<String> = Vec::new();
    items.extend((0..SHOWN_ITEMS).map_while(|index| array.value(index)).map(|item| item.text()));
    if array.len() > SHOWN_ITEMS {
        items.push("…".into());
    }
    format!("{} × [{}]", array.len(), items.join(", "))
}

/// What converting each tensor cost.
pub(super) fn losses<'a>(
    converted: impl Iterator<Item = (&'a str, &'a Format, &'a Format, &'a Loss)>,
) -> Table {
    let headings = ["tensor", "from", "to", "NMSE", "worst", "saturated", "subnormal"];
    let mut table = table(&headings);
    for (name, from, to, loss) in converted {
        let worst = format!("{:.2} %", 100.0 * loss.worst);
        let (saturated, subnormal) = (loss.tally.saturated, loss.tally.subnormal);
        table.add_row([
            bare(name),
            from.name.into(),
            to.name.into(),
            format!("{:.2e}", loss.nmse()),
            worst,
            saturated.to_string(),
            subnormal.to_string(),
        ]);
    }
    numbers(&mut table, 3..7);
    table
}
