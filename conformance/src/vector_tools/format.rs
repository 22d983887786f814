//! The one way to write a vector file: keys in the head's order, a blank line before every table,
//! no other layout to think about. Comments stay where they are, and no value changes.

use std::mem;
use toml_edit::{Array, DocumentMut, Item, RawString, Table, Value};

/// First keys of a file and of a case; the rest keeps its order.
const FILE_KEYS: &[&str] = &["suite", "about", "source", "requires", "budget", "flag", "case"];
const CASE_KEYS: &[&str] = &["name", "about", "flags", "known-failure"];

/// `text` as it should be written.
pub fn format(text: &str) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error| format!("{error}"))?;
    let trailing = document.trailing().as_str().unwrap_or_default().to_owned();
    lay_out(document.as_table_mut(), FILE_KEYS, true);
    document.set_trailing(spaced(&trailing, false));
    let mut written = document.to_string();
    written.truncate(written.trim_end().len());
    let written = format!("{}\n", written.trim_start());
    let tables = |text: &str| text.parse::<toml::Table>().map_err(|error| error.to_string());
    if tables(text)? != tables(&written)? || comments(text) != comments(&written) {
        return Err("formatting would change what the file says".into());
    }
    Ok(written)
}

fn comments(text: &str) -> usize {
    text.lines().filter(|line| line.trim_start().starts_with('#')).count()
}

fn lay_out(table: &mut Table, first: &[&str], is_file: bool) {
    flush_first(table);
    let rank = |key: &str| first.iter().position(|k| *k == key).unwrap_or(first.len());
    table.sort_values_by(|a, _, b, _| rank(a.get()).cmp(&rank(b.get())));
    flush_first(table);
    for (mut key, item) in table.iter_mut() {
        let name = key.get().to_owned();
        if item.is_value() {
            let decor = key.leaf_decor_mut();
            let prefix = decor.prefix().and_then(RawString::as_str).unwrap_or_default();
            let prefix = spaced(prefix, false);
            decor.set_prefix(prefix);
            decor.set_suffix(" ");
        }
        match item {
            Item::Value(value) => {
                let suffix = value.decor().suffix().and_then(RawString::as_str);
                let comment = suffix.unwrap_or_default().trim().to_owned();
                let suffix = if comment.is_empty() { comment } else { format!(" {comment}") };
                lay_out_value(value);
                value.decor_mut().set_prefix(" ");
                value.decor_mut().set_suffix(suffix);
            }
            Item::Table(inner) => lay_out_table(inner, &[]),
            Item::ArrayOfTables(tables) => {
                let first = if is_file && name == "case" { CASE_KEYS } else { &[] };
                tables.iter_mut().for_each(|inner| lay_out_table(inner, first));
            }
            Item::None => {}
        }
    }
}

/// No blank line between a table's header and its first key.
fn flush_first(table: &mut Table) {
    let Some((mut key, Item::Value(_))) = table.iter_mut().next() else { return };
    let decor = key.leaf_decor_mut();
    let prefix = decor.prefix().and_then(RawString::as_str).unwrap_or_default();
    let flush = prefix.trim_start().to_owned();
    decor.set_prefix(flush);
}

fn lay_out_table(table: &mut Table, first: &[&str]) {
    let prefix = table.decor().prefix().and_then(RawString::as_str).unwrap_or_default();
    let prefix = spaced(prefix, true);
    table.decor_mut().set_prefix(prefix);
    lay_out(table, first, false);
}

/// Inline tables and arrays on one line get one blank between things; an array over several lines
/// is a picture, and stays.
fn lay_out_value(value: &mut Value) {
    match value {
        Value::InlineTable(table) if !table.is_empty() => {
            for (mut key, value) in table.iter_mut() {
                key.leaf_decor_mut().set_prefix(" ");
                key.leaf_decor_mut().set_suffix(" ");
                lay_out_value(value);
                value.decor_mut().set_prefix(" ");
                value.decor_mut().set_suffix("");
            }
            if let Some((_, last)) = table.iter_mut().last() {
                last.decor_mut().set_suffix(" ");
            }
        }
        Value::Array(array) if !array.to_string().contains('\n') => one_line(array),
        _ => {}
    }
}

fn one_line(array: &mut Array) {
    array.set_trailing("");
    array.set_trailing_comma(false);
    let mut prefix = "";
    for value in array.iter_mut() {
        lay_out_value(value);
        value.decor_mut().set_prefix(mem::replace(&mut prefix, " "));
        value.decor_mut().set_suffix("");
    }
}

/// Comment lines without stray blanks, at most one blank line in a row, and one in front if asked.
fn spaced(prefix: &str, blank_first: bool) -> String {
    let mut lines: Vec<&str> = Vec::new();
    // The last piece is what stands before the key on its own line: nothing worth keeping.
    let whole = prefix.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for line in whole.split('\n').map(str::trim) {
        if !(line.is_empty() && lines.last().is_none_or(|last| last.is_empty())) {
            lines.push(line);
        }
    }
    let leading_blank = blank_first || whole.starts_with('\n') || prefix == "\n";
    let mut text = if leading_blank { "\n".to_owned() } else { String::new() };
    for line in lines {
        text += line;
        text += "\n";
    }
    text
}
