//! Writes a conversation as gpt-oss reads it, as markers and text kept apart: what a user typed is
//! encoded as text, and `<|end|>` in it stays five words.
//!
//! Follows the template shipped with the model, of which it is the second opinion. Where that
//! template refuses or drops something, this says something sensible: see [`Prompt::pieces`].

use super::tools;
use super::{Channel, Marker};
use crate::chat::template::json_text;
use crate::chat::{Clock, Message, Role, Tool, ToolCall};
use crate::error::{Error, Result};

/// Who the model is, unless told otherwise.
pub const IDENTITY: &str = "You are ChatGPT, a large language model trained by OpenAI.";
/// The effort the model was trained to take for granted.
pub const REASONING: &str = "medium";
/// Namespace of the tools that an application offers.
const FUNCTIONS: &str = "functions.";

/// A piece of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// One special token.
    Marker(Marker),
    /// Text, to be encoded without special tokens.
    Text(String),
}

/// What a prompt is made of.
#[derive(Debug, Clone, Copy)]
pub struct Prompt<'a> {
    /// The conversation so far.
    pub messages: &'a [Message],
    /// Tools on offer.
    pub tools: &'a [Tool],
    /// The first line of the system message; [`IDENTITY`] by default.
    pub identity: &'a str,
    /// `low`, `medium` or `high`.
    pub reasoning: &'a str,
    /// What day it is.
    pub clock: Clock,
    /// Whether to end with the words that open the assistant's turn.
    pub add_generation_prompt: bool,
}

impl Prompt<'_> {
    /// The prompt as one text, markers spelt out.
    pub fn text(&self) -> Result<String> {
        let pieces = self.pieces()?;
        let words = pieces.iter().map(|piece| match piece {
            Piece::Marker(marker) => marker.as_str(),
            Piece::Text(text) => text,
        });
        Ok(words.collect())
    }

    /// The prompt in pieces; [`prompt::encode_harmony`](crate::chat::prompt::encode_harmony) makes
    /// ids of them.
    ///
    /// Beyond the shipped template: a system or developer message in the middle is rendered (there
    /// it disappears), every tool call of a message is rendered (there the first one), an answer is
    /// matched to its call by id, and content beside thinking in a calling message becomes a
    /// preamble (there an error).
    pub fn pieces(&self) -> Result<Vec<Piece>> {
        let mut writer = Writer::default();
        writer.message("system", None, &self.system()?, Marker::End);
        let (instructions, messages) = match self.messages.split_first() {
            Some((first, rest)) if matches!(first.role, Role::System | Role::Developer) => {
                (first.content.as_deref().unwrap_or_default(), rest)
            }
            _ => ("", self.messages),
        };
        if let Some(text) = self.developer(instructions)? {
            writer.message("developer", None, &text, Marker::End);
        }
        let mut calls = Vec::new();
        for (index, message) in messages.iter().enumerate() {
            self.message(&mut writer, &mut calls, message, &messages[index + 1..])?;
        }
        if self.add_generation_prompt {
            writer.marker(Marker::Start);
            writer.text("assistant");
        }
        Ok(writer.pieces)
    }

    fn system(&self) -> Result<String> {
        let date = self.clock.strftime("%Y-%m-%d").map_err(Error::Usage)?;
        let (identity, reasoning) = (self.identity, self.reasoning);
        let channels = Channel::ALL.map(Channel::as_str).join(", ");
        let mut text = format!(
            "{identity}\nKnowledge cutoff: 2024-06\nCurrent date: {date}\n\n\
             Reasoning: {reasoning}\n\n\
             # Valid channels: {channels}. Channel must be included for every message."
        );
        if !self.tools.is_empty() {
            text += "\nCalls to these tools must go to the commentary channel: 'functions'.";
        }
        Ok(text)
    }

    fn developer(&self, instructions: &str) -> Result<Option<String>> {
        let mut text = String::new();
        if !instructions.is_empty() {
            text += &format!("# Instructions\n\n{instructions}\n\n");
        }
        if !self.tools.is_empty() {
            text += "# Tools\n\n";
            text += &tools::namespace(self.tools)?;
        }
        Ok((!text.is_empty()).then_some(text))
    }

    fn message<'m>(
        &self,
        writer: &mut Writer,
        calls: &mut Vec<&'m ToolCall>,
        message: &'m Message,
        later: &[Message],
    ) -> Result<()> {
        let content = message.content.as_deref().unwrap_or_default();
        match message.role {
            Role::User => writer.message("user", None, content, Marker::End),
            Role::System | Role::Developer => {
                let text = format!("# Instructions\n\n{content}\n\n");
                writer.message("developer", None, &text, Marker::End);
            }
            Role::Tool => {
                let author = format!("{FUNCTIONS}{} to=assistant", answered(calls, message)?);
                // The template encodes the answer as a JSON string, whatever it holds.
                let content = json_text(&serde_json::Value::from(content));
                writer.message(&author, Some(Channel::Commentary), &content, Marker::End);
            }
            Role::Assistant => {
                refuse_markers(message)?;
                let made = message.tool_calls.as_deref().unwrap_or_default();
                if made.is_empty() {
                    self.answer(writer, message, content, later);
                } else {
                    calling(writer, message, content, later);
                }
                for call in made {
                    writer.call(call);
                    calls.push(call);
                }
            }
        }
        Ok(())
    }

    /// An answer. What was thought before it is forgotten, except in the last message of a text to
    /// learn from, which alone ends in `<|return|>`.
    fn answer(&self, writer: &mut Writer, message: &Message, content: &str, later: &[Message]) {
        let learned = later.is_empty() && !self.add_generation_prompt;
        if let (true, Some(thinking)) = (learned, &message.thinking) {
            writer.message("assistant", Some(Channel::Analysis), thinking, Marker::End);
        }
        let end = if learned { Marker::Return } else { Marker::End };
        writer.message("assistant", Some(Channel::Final), content, end);
    }
}

/// What a calling message thought stays until an answer follows: the model goes on thinking.
fn calling(writer: &mut Writer, message: &Message, content: &str, later: &[Message]) {
    let answers = |message: &Message| {
        message.role == Role::Assistant
            && message.tool_calls.as_deref().unwrap_or_default().is_empty()
    };
    let answered = later.iter().any(answers);
    match message.thinking.as_deref().filter(|thinking| !thinking.is_empty()) {
        Some(thinking) => {
            if !answered {
                writer.message("assistant", Some(Channel::Analysis), thinking, Marker::End);
            }
            if !content.is_empty() {
                writer.message("assistant", Some(Channel::Commentary), content, Marker::End);
            }
        }
        None if content.is_empty() || answered => {}
        None => writer.message("assistant", Some(Channel::Analysis), content, Marker::End),
    }
}

/// The name of the call that a tool's message answers.
fn answered<'c>(calls: &[&'c ToolCall], message: &Message) -> Result<&'c str> {
    let by_id = message
        .tool_call_id
        .as_deref()
        .and_then(|id| calls.iter().rev().find(|call| call.id.as_deref() == Some(id)));
    match by_id.or(calls.last()) {
        Some(call) => Ok(&call.function.name),
        None => Err(Error::Usage(
            "a message with role 'tool' needs an earlier assistant message with a tool call".into(),
        )),
    }
}

/// Text that still holds the frame was not parsed by whoever sends it back, and the model would
/// read its own markers as words.
fn refuse_markers(message: &Message) -> Result<()> {
    for (field, text) in [("content", &message.content), ("thinking", &message.thinking)] {
        let text = text.as_deref().unwrap_or_default();
        for channel in [Channel::Analysis, Channel::Final] {
            let framed = format!("<|channel|>{}<|message|>", channel.as_str());
            if text.contains(&framed) {
                return Err(Error::Usage(format!(
                    "an assistant message holds '{framed}' in its {field}: send analysis as \
                     'thinking' and the answer as 'content', each without markers"
                )));
            }
        }
    }
    Ok(())
}

#[derive(Default)]
struct Writer {
    pieces: Vec<Piece>,
}

impl Writer {
    fn marker(&mut self, marker: Marker) {
        self.pieces.push(Piece::Marker(marker));
    }

    fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.pieces.push(Piece::Text(text.to_owned()));
        }
    }

    fn message(&mut self, author: &str, channel: Option<Channel>, content: &str, end: Marker) {
        self.marker(Marker::Start);
        self.text(author);
        if let Some(channel) = channel {
            self.marker(Marker::Channel);
            self.text(channel.as_str());
        }
        self.marker(Marker::Message);
        self.text(content);
        self.marker(end);
    }

    fn call(&mut self, call: &ToolCall) {
        self.marker(Marker::Start);
        self.text(&format!("assistant to={FUNCTIONS}{}", call.function.name));
        self.marker(Marker::Channel);
        self.text(&format!("{} json", Channel::Commentary.as_str()));
        self.marker(Marker::Message);
        self.text(&json_text(&call.function.arguments));
        self.marker(Marker::Call);
    }
}
