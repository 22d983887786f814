//! Suite `tokenizer-cut`: where a pre-tokeniser cuts a text, in both readings. No vocabulary.

use super::Vector;
use engine::profile::Profile;
use engine::tokenizer::pretokenize;
use harness::vector::{CaseHead, Head};
use harness::{Failure, Run};
use schemars::JsonSchema;
use serde::Deserialize;

/// One text under one pre-tokeniser.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Cut {
    /// Values of `tokenizer.ggml.pre`; all of them cut alike.
    pre: Vec<String>,
    /// The text.
    text: String,
    /// The pieces as the model's maker cuts them; together they are the text.
    want: Vec<String>,
    /// The pieces as llama.cpp cuts them, if it cuts otherwise.
    #[serde(default)]
    llama_cpp: Option<Vec<String>>,
    /// With `llama-cpp`: the id and the reason of the difference.
    #[serde(default)]
    deviation: Option<(String, String)>,
}

impl Vector for Cut {
    const SUITE: &'static str = "tokenizer-cut";

    fn judge(&self, _: &Head, _: &CaseHead, run: &mut Run) -> Result<(), Failure> {
        for pieces in [&self.want].into_iter().chain(&self.llama_cpp) {
            if pieces.concat() != self.text {
                return Err(format!("the vector's pieces {pieces:?} are not its text").into());
            }
        }
        let theirs = match (&self.llama_cpp, &self.deviation) {
            (Some(theirs), Some(_)) if *theirs == self.want => {
                return Err("llama.cpp is said to cut otherwise, but its pieces are ours".into());
            }
            (Some(theirs), Some((id, reason))) => {
                run.deviation(id, reason);
                theirs
            }
            (None, None) => &self.want,
            _ => return Err("`llama-cpp` and `deviation` belong together".into()),
        };
        for pre in &self.pre {
            for (profile, want) in [(Profile::Reference, &self.want), (Profile::LlamaCpp, theirs)] {
                let pieces = pretokenize::pieces(pre, profile, self.text.as_bytes());
                let pieces = pieces.ok_or_else(|| format!("there is no pre-tokeniser {pre:?}"))?;
                let pieces: Vec<_> = pieces.into_iter().map(String::from_utf8_lossy).collect();
                if pieces != *want {
                    let who = format!("{pre}, {profile:?}");
                    return Err(format!("{who}: cut into {pieces:?}, wanted {want:?}").into());
                }
            }
        }
        match self.pre.is_empty() {
            true => Err("no pre-tokeniser is named".into()),
            false => Ok(()),
        }
    }
}
