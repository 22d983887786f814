//! Suite `harmony-parse`: what gpt-oss may write, and the messages it amounts to, however the text
//! is cut into pieces.

use super::Vector;
use engine::chat::harmony::parse::{self, Parser, Part};
use engine::chat::harmony::{Channel, Marker};
use harness::vector::{CaseHead, Head};
use harness::{Failure, Run};
use schemars::JsonSchema;
use serde::Deserialize;

/// A text of the model.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Output {
    /// What the model wrote.
    text: String,
    /// The text begins with `<|start|>`, and not after a prompt's `<|start|>assistant`.
    #[serde(default)]
    from_start: bool,
    /// The messages it holds.
    part: Vec<Want>,
    /// What the assistant's message says in the end.
    #[serde(default)]
    message: Option<String>,
    /// What it thinks.
    #[serde(default)]
    thinking: Option<String>,
    /// Tool calls as `NAME(ARGUMENTS)`.
    #[serde(default)]
    calls: Vec<String>,
}

/// One message.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Want {
    #[serde(default = "assistant")]
    role: String,
    #[serde(default)]
    channel: Option<String>,
    #[serde(default)]
    recipient: Option<String>,
    #[serde(default)]
    content_type: Option<String>,
    content: String,
    /// `end`, `call`, `return`, `start`, `channel`; absent when the text was cut off.
    #[serde(default)]
    end: Option<String>,
    /// A word of each complaint, in order.
    #[serde(default)]
    malformed: Vec<String>,
}

fn assistant() -> String {
    "assistant".into()
}

/// Every byte that is no marker must lie in exactly one header or content, in order.
pub(crate) fn lossless(text: &str, parts: &[Part]) -> Result<(), Failure> {
    let mut bare = text.to_owned();
    let mut rest = text;
    bare.clear();
    while !rest.is_empty() {
        match Marker::ALL.iter().find(|marker| rest.starts_with(marker.as_str())) {
            Some(marker) => rest = &rest[marker.as_str().len()..],
            None => {
                let next = rest.chars().next().map_or(1, char::len_utf8);
                bare.push_str(&rest[..next]);
                rest = &rest[next..];
            }
        }
    }
    let kept: String = parts.iter().map(|p| format!("{}{}", p.header.raw, p.content)).collect();
    if kept != bare {
        return Err(format!("kept {kept:?}\nof   {bare:?}").into());
    }
    Ok(())
}

impl Output {
    fn parser(&self) -> Parser {
        if self.from_start { Parser::from_start() } else { Parser::after_prompt() }
    }

    fn in_pieces(&self, whole: &[Part]) -> Result<(), Failure> {
        let boundaries: Vec<usize> = self.text.char_indices().map(|(at, _)| at).collect();
        for cut in &boundaries {
            let (left, right) = self.text.split_at(*cut);
            let parts = parse::read(self.parser(), [left, right]);
            if parts != whole {
                return Err(format!("cut at {cut}: {parts:?}\nbut whole: {whole:?}").into());
            }
        }
        let chars: Vec<String> = self.text.chars().map(String::from).collect();
        let parts = parse::read(self.parser(), chars.iter().map(String::as_str));
        if parts != whole {
            return Err(format!("char by char: {parts:?}\nbut whole: {whole:?}").into());
        }
        Ok(())
    }

    fn judge_message(&self, parts: &[Part]) -> Result<(), Failure> {
        let message = parse::message(parts);
        let calls: Vec<String> = message
            .tool_calls
            .iter()
            .flatten()
            .map(|call| format!("{}({})", call.function.name, call.function.arguments))
            .collect();
        let said = [("message", &message.content, &self.message)];
        let thought = [("thinking", &message.thinking, &self.thinking)];
        for (what, found, want) in said.into_iter().chain(thought) {
            if want.is_some() && found != want {
                return Err(format!("{what} is {found:?}, want {want:?}").into());
            }
        }
        if calls != self.calls {
            return Err(format!("calls {calls:?}, want {:?}", self.calls).into());
        }
        Ok(())
    }
}

impl Want {
    fn judge(&self, part: &Part) -> Result<(), Failure> {
        let header = &part.header;
        let end = part
            .end
            .map(|marker| format!("<|{}|>", self.end.as_deref().unwrap_or("")) == marker.as_str());
        let same = [
            header.role == self.role,
            header.channel.map(Channel::as_str) == self.channel.as_deref(),
            header.recipient == self.recipient,
            header.content_type == self.content_type,
            part.content == self.content,
            end.unwrap_or(self.end.is_none()),
            header.malformed.len() == self.malformed.len(),
            header.malformed.iter().zip(&self.malformed).all(|(found, want)| found.contains(want)),
        ];
        match same.iter().all(|same| *same) {
            true => Ok(()),
            false => Err(format!("read {part:?}\nwant {self:?}").into()),
        }
    }
}

impl Vector for Output {
    const SUITE: &'static str = "harmony-parse";

    fn judge(&self, _: &Head, _: &CaseHead, _: &mut Run) -> Result<(), Failure> {
        let parts = parse::read(self.parser(), [self.text.as_str()]);
        lossless(&self.text, &parts)?;
        for (want, part) in self.part.iter().zip(&parts) {
            want.judge(part)?;
        }
        if self.part.len() != parts.len() {
            return Err(
                format!("{} parts, want {}: {parts:?}", parts.len(), self.part.len()).into()
            );
        }
        self.in_pieces(&parts)?;
        self.judge_message(&parts)
    }
}
