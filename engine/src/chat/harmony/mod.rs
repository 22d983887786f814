//! Harmony: how gpt-oss frames a conversation, in both directions.
//!
//! A message is `<|start|>HEADER<|message|>CONTENT<|end|>`; the header holds a role, a channel
//! (`analysis` is thinking, `final` is the answer, `commentary` holds tool calls and preambles), a
//! recipient `to=NAME` and a content type. Source: openai/harmony docs/format.md.
//!
//! [`render`] writes a conversation as the template shipped with gpt-oss does; [`parse`] reads what
//! the model writes, which is not always well-formed, and loses none of it. Knows markers by name;
//! their token ids are the vocabulary's.

mod header;
pub mod parse;
pub mod render;
mod tools;

pub use header::Header;
pub use parse::{Event, Parser, Part, Splitter};
pub use render::{Piece, Prompt};

/// A word of the frame: one special token, never text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Marker {
    /// `<|start|>` begins a header.
    Start,
    /// `<|message|>` ends the header.
    Message,
    /// `<|channel|>` is followed by the channel's name.
    Channel,
    /// `<|constrain|>` is followed by the content type.
    Constrain,
    /// `<|end|>` ends a message; the model goes on.
    End,
    /// `<|call|>` ends a tool call; the model waits for the answer.
    Call,
    /// `<|return|>` ends the turn.
    Return,
}

impl Marker {
    /// All of them.
    pub const ALL: [Marker; 7] = [
        Marker::Start,
        Marker::Message,
        Marker::Channel,
        Marker::Constrain,
        Marker::End,
        Marker::Call,
        Marker::Return,
    ];

    /// The special token's text.
    pub fn as_str(self) -> &'static str {
        match self {
            Marker::Start => "<|start|>",
            Marker::Message => "<|message|>",
            Marker::Channel => "<|channel|>",
            Marker::Constrain => "<|constrain|>",
            Marker::End => "<|end|>",
            Marker::Call => "<|call|>",
            Marker::Return => "<|return|>",
        }
    }

    /// The marker a special token stands for.
    pub fn from_token_text(text: &str) -> Option<Self> {
        Marker::ALL.into_iter().find(|marker| marker.as_str() == text)
    }

    /// Whether generation ends here. `<|end|>` does not end it: analysis ends so, and the answer
    /// comes after.
    pub fn stops(self) -> bool {
        matches!(self, Marker::Call | Marker::Return)
    }
}

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Thinking; not for the user.
    Analysis,
    /// Tool calls, and what the model says before it makes them.
    Commentary,
    /// The answer.
    Final,
}

impl Channel {
    /// All of them.
    pub const ALL: [Channel; 3] = [Channel::Analysis, Channel::Commentary, Channel::Final];

    /// The word in the header.
    pub fn as_str(self) -> &'static str {
        match self {
            Channel::Analysis => "analysis",
            Channel::Commentary => "commentary",
            Channel::Final => "final",
        }
    }
}
