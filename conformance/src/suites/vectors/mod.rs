//! `vectors::` turns every `vectors/AREA/FILE.toml` into cases `vectors::AREA::FILE::CASE`.
//! A vector suite is one type: its fields are the case's keys, and it judges itself. Knows which
//! suites there are, not what any of them checks.

mod chat_template;
mod explain;
pub(crate) mod harmony_parse;
pub(crate) mod harmony_render;
mod tokenizer_cut;
mod tokenizer_text;
mod vector_file;

use crate::suites::{formats, gguf, loader, model, sampler};
use crate::vector_tools;
use harness::discover::{self, Found};
use harness::vector::{self, CaseHead, Head};
use harness::{Case, Failure, Run, roots};
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The case type of a vector suite. Derive `Deserialize` and `JsonSchema`, and deny unknown fields
/// (`tidy::vectors::schema` is red if a suite forgets).
pub trait Vector: DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The `suite` key of the files this type reads, in kebab-case.
    const SUITE: &'static str;

    /// Whether what the case says is true.
    fn judge(&self, head: &Head, case: &CaseHead, run: &mut Run) -> Result<(), Failure>;
}

/// A row of the table of vector suites.
pub struct Suite {
    /// The `suite` key of its files.
    pub name: &'static str,
    /// The JSON Schema of one `[[case]]` without its head.
    pub schema: fn() -> Schema,
    /// Cases of one file: path (for messages), content, and the name its cases start with.
    pub cases: fn(&Path, toml::Table, &str) -> Result<Vec<Case>, String>,
}

impl Suite {
    const fn of<V: Vector>() -> Self {
        Suite { name: V::SUITE, schema: || schemars::schema_for!(V), cases: cases_of::<V> }
    }
}

/// Every vector suite; sorted, so that two people adding one do not meet.
pub const SUITES: &[Suite] = &[
    Suite::of::<chat_template::Rendering>(),     // chat-template
    Suite::of::<formats::FormatDecode>(),        // format-decode
    Suite::of::<formats::FormatEncode>(),        // format-encode
    Suite::of::<formats::FormatRow>(),           // format-table
    Suite::of::<gguf::FileVector>(),             // gguf-file
    Suite::of::<harmony_parse::Output>(),        // harmony-parse
    Suite::of::<harmony_render::Conversation>(), // harmony-render
    Suite::of::<model::ModelVector>(),           // model-file
    Suite::of::<formats::MxElement>(),           // mx-element
    Suite::of::<formats::Mxfp4Layout>(),         // mxfp4-layout
    Suite::of::<sampler::PhiloxBlock>(),         // philox
    Suite::of::<loader::FileVector>(),           // safetensors-file
    Suite::of::<sampler::SamplerStep>(),         // sampler
    Suite::of::<tokenizer_cut::Cut>(),           // tokenizer-cut
    Suite::of::<tokenizer_text::Text>(),         // tokenizer-text
    Suite::of::<vector_file::VectorText>(),      // vector-file
];

/// All vector cases of this checkout.
pub fn cases() -> Vec<Case> {
    let mut cases = cases_under(&roots::project().join("vectors"));
    cases.extend(vector_tools::lint::cases());
    cases
}

/// All vector cases under a folder. What cannot be read is a red case, so it cannot go missing.
pub fn cases_under(root: &Path) -> Vec<Case> {
    let found = discover::vector_files(root);
    found.into_iter().flat_map(cases_in).collect()
}

/// The cases of one place; where it cannot be read, one red case that says why.
pub(crate) fn cases_in(found: Found) -> Vec<Case> {
    let Found { name, path, text } = found;
    let at = |what: String| format!("{}: {what}", path.display());
    let cases = text.and_then(|text| {
        let table: toml::Table = text.parse().map_err(|e| at(format!("not TOML: {e}")))?;
        let suite = vector::suite_of(&table).map_err(at)?;
        let Some(row) = SUITES.iter().find(|row| row.name == suite) else {
            let known: Vec<_> = SUITES.iter().map(|row| row.name).collect();
            return Err(at(format!("unknown suite '{suite}'; there are: {}", known.join(", "))));
        };
        (row.cases)(&path, table, &name)
    });
    cases.unwrap_or_else(|error| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        vec![Case::new(format!("{name}::cannot-be-read::{file}"), move |_| {
            Err(error.as_str().into())
        })]
    })
}

fn cases_of<V: Vector>(path: &Path, table: toml::Table, name: &str) -> Result<Vec<Case>, String> {
    let file = vector::from_table::<V>(path, table)?;
    let head = Arc::new(file.head);
    let cases = file.cases.into_iter().map(|(case_head, own)| {
        let head = Arc::clone(&head);
        let mut case = Case::new(format!("{name}::{}", case_head.name), {
            let (head, case_head) = (Arc::clone(&head), case_head.clone());
            let path = shown(path);
            move |run| {
                let judged = own.judge(&head, &case_head, run);
                judged.map_err(|failure| explain::explain(&failure, &path, &head, &case_head))
            }
        });
        case = case.requirements(case_head.flags);
        if let Some(reason) = &case_head.known_failure {
            case = case.known_failure(reason);
        }
        head.requires.iter().fold(case, |case, capability| case.needs(capability))
    });
    Ok(cases.collect())
}

/// The path as someone in the project's folder would type it.
fn shown(path: &Path) -> PathBuf {
    path.strip_prefix(roots::project()).unwrap_or(path).to_owned()
}
