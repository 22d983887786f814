//! Suite `harmony-render`: a conversation and the text that the template shipped with gpt-oss makes
//! of it. The renderer of our own must agree; where it goes further, the case says so.

use super::Vector;
use crate::suites::tokenizer::tiktoken::O200K_HARMONY;
use engine::chat::harmony::render::{IDENTITY, Piece, Prompt, REASONING};
use engine::chat::harmony::{Marker, parse};
use engine::chat::prompt::encode_harmony;
use engine::chat::template::Input;
use engine::chat::{Clock, Message, Template, Tool};
use harness::vector::{CaseHead, Head};
use harness::{Failure, Run};
use schemars::JsonSchema;
use serde::Deserialize;

/// A conversation.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Conversation {
    /// The messages as JSON.
    messages: String,
    /// The tools as JSON.
    #[serde(default)]
    tools: Option<String>,
    #[serde(default)]
    identity: Option<String>,
    #[serde(default)]
    reasoning: Option<String>,
    /// Seconds since 1970 that the injected clock shows.
    #[serde(default)]
    unix_seconds: i64,
    #[serde(default)]
    add_generation_prompt: bool,
    /// What the template renders; absent where it refuses.
    #[serde(default)]
    template: Option<String>,
    /// What we render where that is something else.
    #[serde(default)]
    ours: Option<String>,
    /// Words of our refusal.
    #[serde(default)]
    error: Option<Vec<String>>,
    /// Why `ours` is not `template`: id and reason.
    #[serde(default)]
    deviation: Option<(String, String)>,
}

impl Conversation {
    fn with<T>(
        &self,
        render: impl FnOnce(&Prompt, &serde_json::Map<String, serde_json::Value>) -> T,
    ) -> Result<T, Failure> {
        let messages: Vec<Message> = serde_json::from_str(&self.messages)?;
        let tools: Vec<Tool> = serde_json::from_str(self.tools.as_deref().unwrap_or("[]"))?;
        let mut extra = serde_json::Map::new();
        let chosen = [("model_identity", &self.identity), ("reasoning_effort", &self.reasoning)];
        for (name, value) in chosen {
            if let Some(value) = value {
                extra.insert(name.into(), value.clone().into());
            }
        }
        let prompt = Prompt {
            messages: &messages,
            tools: &tools,
            identity: self.identity.as_deref().unwrap_or(IDENTITY),
            reasoning: self.reasoning.as_deref().unwrap_or(REASONING),
            clock: Clock { unix_seconds: self.unix_seconds },
            add_generation_prompt: self.add_generation_prompt,
        };
        Ok(render(&prompt, &extra))
    }

    /// What a template makes of the conversation must be what was recorded.
    pub(crate) fn judge_template(&self, template: &Template) -> Result<(), Failure> {
        let rendered = self.with(|prompt, extra| {
            template.render(&Input {
                messages: prompt.messages,
                tools: prompt.tools,
                add_generation_prompt: prompt.add_generation_prompt,
                special_tokens: &[],
                extra,
                clock: prompt.clock,
            })
        })?;
        match (rendered, &self.template) {
            (Ok(text), Some(want)) if text == *want => Ok(()),
            (Err(_), None) => Ok(()),
            (Ok(text), want) => {
                Err(format!("the template renders\n{text:?}\nwant\n{want:?}").into())
            }
            (Err(error), Some(_)) => Err(error.into()),
        }
    }
}

impl Vector for Conversation {
    const SUITE: &'static str = "harmony-render";

    fn judge(&self, _: &Head, _: &CaseHead, run: &mut Run) -> Result<(), Failure> {
        if let Some((id, reason)) = &self.deviation {
            run.deviation(id, reason);
        }
        let pieces = self.with(|prompt, _| prompt.pieces())?;
        let (pieces, want) =
            match (pieces, self.ours.as_ref().or(self.template.as_ref()), &self.error) {
                (Ok(pieces), Some(want), None) => (pieces, want),
                (Err(error), None, Some(words)) if !words.is_empty() => {
                    let said = error.to_string();
                    return match words.iter().find(|word| !said.contains(*word)) {
                        None => Ok(()),
                        Some(word) => {
                            Err(format!("refused without saying {word:?}: {said}").into())
                        }
                    };
                }
                (outcome, want, error) => {
                    return Err(format!("{outcome:?}, want {want:?} or refusal {error:?}").into());
                }
            };
        let text: String = pieces.iter().map(piece_text).collect();
        if text != *want {
            return Err(format!("rendered\n{text:?}\nwant\n{want:?}").into());
        }
        same_ids(&pieces, &text)?;
        reads_back(&pieces)
    }
}

fn piece_text(piece: &Piece) -> &str {
    match piece {
        Piece::Marker(marker) => marker.as_str(),
        Piece::Text(text) => text,
    }
}

/// The ids are those of gpt-oss's own tokenizer for the text; what somebody said is text even where
/// it spells a marker.
fn same_ids(pieces: &[Piece], text: &str) -> Result<(), Failure> {
    let tokenizer = &O200K_HARMONY.made()?.tokenizer;
    let got = encode_harmony(pieces, tokenizer)?;
    let mut want = Vec::new();
    for piece in pieces {
        let text = piece_text(piece);
        match piece {
            Piece::Marker(_) => {
                want.extend((O200K_HARMONY.oracle)().encode_with_special_tokens(text))
            }
            Piece::Text(_) => want.extend((O200K_HARMONY.oracle)().encode_ordinary(text)),
        }
    }
    if got != want {
        return Err(format!("{text:?}: ids {got:?}, wanted {want:?}").into());
    }
    match tokenizer.decode(&got, true)? {
        back if back == text => Ok(()),
        back => Err(format!("{text:?} comes back as {back:?}").into()),
    }
}

/// Fed to the parser as the tokens they will be, the pieces are as many messages, none malformed.
fn reads_back(pieces: &[Piece]) -> Result<(), Failure> {
    let mut parser = parse::Parser::from_start();
    let mut events = Vec::new();
    for piece in pieces {
        events.extend(match piece {
            Piece::Marker(marker) => parser.marker(*marker),
            Piece::Text(text) => parser.text(text),
        });
    }
    let parts = parse::parts(events);
    let wanted = pieces.iter().filter(|piece| **piece == Piece::Marker(Marker::Message)).count();
    if parts.len() != wanted {
        return Err(format!("{} parts of {wanted} messages: {parts:?}", parts.len()).into());
    }
    match parts.iter().find(|part| !part.header.malformed.is_empty()) {
        Some(part) => Err(format!("our own header is malformed: {part:?}").into()),
        None => Ok(()),
    }
}
