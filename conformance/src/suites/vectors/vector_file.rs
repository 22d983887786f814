//! Suite `vector-file`: what the reader of vector files accepts and refuses.

use super::Vector;
use harness::vector::{self, CaseHead, Head};
use harness::{Failure, Run};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::Path;

/// A vector file as text, and what reading it must say.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct VectorText {
    /// The file's text.
    text: String,
    /// Parts of the error, or absent when the text must be accepted.
    #[serde(default)]
    error: Option<Vec<String>>,
}

/// What the vector inside the vector may hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inner {
    #[allow(dead_code, reason = "only its presence and type matter")]
    want: u32,
}

impl Vector for VectorText {
    const SUITE: &'static str = "vector-file";

    fn judge(&self, _: &Head, _: &CaseHead, _: &mut Run) -> Result<(), Failure> {
        let read = vector::parse::<Inner>(Path::new("inner.toml"), &self.text);
        match (read, &self.error) {
            (Ok(_), None) => Ok(()),
            (Ok(_), Some(parts)) => Err(format!("accepted, but must say {parts:?}").into()),
            (Err(error), None) => Err(format!("refused: {error}").into()),
            (Err(error), Some(parts)) => match parts.iter().find(|p| !error.contains(*p)) {
                None => Ok(()),
                Some(part) => Err(format!("refused without saying {part:?}: {error}").into()),
            },
        }
    }
}
