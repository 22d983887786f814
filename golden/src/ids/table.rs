//! A recorded table of ids as TOML: one line per prompt, one column per oracle. Knows how it is
//! written; who answered what is given.

use super::prompts::Prompts;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;

const HEAD: &str = "\
# Recorded by `golden regen ids`. `plain`: the text of special tokens is text; `special`: it is the
# token, and a prompt stands there only if some oracle then answers otherwise. A column that is left
# out of a line answers as `llama-cpp` does, unless `silent` names it there: then it was not asked.
# With the vocabulary's own additions, ids are `before` + ids.
";

/// One oracle's answers, by `group.name`.
#[derive(Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Column {
    pub(super) oracle: String,
    pub(super) plain: BTreeMap<String, Vec<i32>>,
    pub(super) special: BTreeMap<String, Vec<i32>>,
    pub(super) before: Vec<i32>,
}

pub(super) struct Table {
    pub(super) vocabulary: String,
    pub(super) digest: String,
    pub(super) pre: Option<String>,
    pub(super) also: Vec<String>,
    pub(super) columns: BTreeMap<String, Column>,
}

impl Table {
    pub(super) fn text(&self, prompts: &Prompts) -> String {
        let mut text = format!("{HEAD}\n[source]\nvocabulary = \"{}\"\n", self.vocabulary);
        let _ = writeln!(text, "sha256 = \"{}\"", self.digest);
        if let Some(pre) = &self.pre {
            let _ = writeln!(text, "pre = \"{pre}\"\nalso = {:?}", self.also);
        }
        for (name, column) in &self.columns {
            let Column { oracle, before, .. } = column;
            let _ = writeln!(text, "\n[source.{name}]\noracle = \"{oracle}\"\nbefore = {before:?}");
        }
        self.section(&mut text, "plain", prompts, |column| &column.plain, |_| true);
        let differs = |name: &str| {
            let same = |column: &Column| {
                column.special.get(name).is_none_or(|ids| Some(ids) == column.plain.get(name))
            };
            !self.columns.values().all(same)
        };
        self.section(&mut text, "special", prompts, |column| &column.special, differs);
        text
    }

    fn section(
        &self,
        text: &mut String,
        section: &str,
        prompts: &Prompts,
        answers: impl Fn(&Column) -> &BTreeMap<String, Vec<i32>>,
        listed: impl Fn(&str) -> bool,
    ) {
        let mut group = "";
        let names: Vec<String> = prompts.named().map(|(name, _)| name).collect();
        for full in names.iter().filter(|name| listed(name)) {
            let Some((its_group, name)) = full.split_once('.') else { continue };
            if its_group != group {
                group = its_group;
                let _ = writeln!(text, "\n[{section}.{group}]");
            }
            let llama = &answers(&self.columns["llama-cpp"])[full];
            let mut line = format!("{name} = {{ llama-cpp = {}", list(llama));
            let mut silent = Vec::new();
            for (column, all) in self.columns.iter().filter(|(name, _)| *name != "llama-cpp") {
                match answers(all).get(full) {
                    None => silent.push(column),
                    Some(ids) if ids == llama => {}
                    Some(ids) => {
                        let _ = write!(line, ", {column} = {}", list(ids));
                    }
                }
            }
            if !silent.is_empty() {
                let _ = write!(line, ", silent = {silent:?}");
            }
            let _ = writeln!(text, "{line} }}");
        }
    }
}

/// Ids without the spaces that a debug print puts after commas: half of these files are commas.
fn list(ids: &[i32]) -> String {
    let ids: Vec<String> = ids.iter().map(i32::to_string).collect();
    format!("[{}]", ids.join(","))
}
