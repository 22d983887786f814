//! Reads what gpt-oss writes, piece by piece, and never fails: a model at temperature 1 writes a
//! malformed header in some percent of its turns, and an error would throw a good answer away.
//!
//! Every byte of text ends in exactly one part, in its header or in its content. Knows the frame;
//! what is shown to whom is [`Part`]'s to say.

use super::header::{Draft, Header};
use super::{Channel, Marker};
use crate::chat::{FunctionCall, Message, Role, ToolCall};

/// A header longer than this has lost its `<|message|>`; waiting longer would hold a whole answer
/// back from a stream.
const HEADER_BYTES_MAX: usize = 256;

/// What the parser says while it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message begins.
    Begin(Header),
    /// More of its content.
    Text(String),
    /// It ends: by this marker, or because the text was cut off.
    End(Option<Marker>),
}

/// Reads markers and text in the order in which the model makes them.
#[derive(Debug)]
pub struct Parser {
    state: State,
}

#[derive(Debug)]
enum State {
    Header(Draft),
    Content,
}

impl Default for Parser {
    fn default() -> Self {
        Parser::after_prompt()
    }
}

impl Parser {
    /// Reads on after a prompt that ended in `<|start|>assistant`.
    pub fn after_prompt() -> Self {
        Parser { state: State::Header(Draft::of_assistant()) }
    }

    /// Reads a whole conversation.
    pub fn from_start() -> Self {
        Parser { state: State::Header(Draft::default()) }
    }

    /// The model wrote text.
    pub fn text(&mut self, text: &str) -> Vec<Event> {
        let draft = match &mut self.state {
            State::Content => return vec![Event::Text(text.to_owned())],
            State::Header(draft) => draft,
        };
        // The limit cuts at the same byte however the text arrives.
        let room = HEADER_BYTES_MAX.saturating_sub(draft.text_bytes());
        let (header, content) = text.split_at(text.floor_char_boundary(room));
        draft.push(header);
        if content.is_empty() {
            return Vec::new();
        }
        let draft = std::mem::take(draft);
        let mut events = self.begin(draft, false);
        events.push(Event::Text(content.to_owned()));
        events
    }

    /// The model wrote a marker.
    pub fn marker(&mut self, marker: Marker) -> Vec<Event> {
        match (&mut self.state, marker) {
            (State::Header(draft), Marker::Channel | Marker::Constrain) => {
                let events = Self::strayed(draft, marker);
                draft.marked.push((marker, String::new()));
                events
            }
            (State::Header(draft), Marker::Message) => {
                let mut events = Self::strayed(draft, marker);
                let draft = std::mem::take(draft);
                events.extend(self.begin(draft, true));
                events
            }
            (State::Header(draft), Marker::Start) => {
                let draft = std::mem::take(draft);
                self.restart(draft)
            }
            (State::Header(draft), Marker::End | Marker::Call | Marker::Return) => {
                let draft = std::mem::take(draft);
                // `<|end|><|return|>`: nothing lies between them.
                if !draft.started && draft.marked.is_empty() && draft.is_blank() {
                    self.state = State::Header(draft);
                    return Vec::new();
                }
                let mut events = self.begin(draft, false);
                events.extend(self.end(Some(marker)));
                events
            }
            // `<|end|><|start|>assistant` got lost, or only `<|end|>`.
            (State::Content, Marker::Start | Marker::Channel) => {
                let events = self.end(Some(marker));
                let mut draft = Draft::begun();
                if marker == Marker::Channel {
                    draft.malformed.push("no <|end|><|start|> before <|channel|>".into());
                    draft.marked.push((marker, String::new()));
                } else {
                    draft.malformed.push("no <|end|> before <|start|>".into());
                }
                self.state = State::Header(draft);
                events
            }
            // Repeated where it means nothing; there is no text to lose.
            (State::Content, Marker::Message | Marker::Constrain) => Vec::new(),
            (State::Content, Marker::End | Marker::Call | Marker::Return) => self.end(Some(marker)),
        }
    }

    /// The model stopped, or was stopped.
    pub fn finish(mut self) -> Vec<Event> {
        match std::mem::replace(&mut self.state, State::Content) {
            State::Content => self.end(None),
            State::Header(draft) => {
                let silent = draft.marked.is_empty() && draft.is_blank();
                if silent && draft.text_bytes() == 0 && draft.carried.is_empty() {
                    return Vec::new();
                }
                let mut events = self.begin(draft, false);
                events.extend(self.end(None));
                events
            }
        }
    }

    fn begin(&mut self, draft: Draft, complete: bool) -> Vec<Event> {
        let (header, content) = draft.read(complete);
        self.state = State::Content;
        let mut events = vec![Event::Begin(header)];
        if !content.is_empty() {
            events.push(Event::Text(content));
        }
        events
    }

    fn end(&mut self, marker: Option<Marker>) -> Vec<Event> {
        self.state = State::Header(Draft::default());
        vec![Event::End(marker)]
    }

    /// Text where a role may stand that is none: it becomes a message of its own, and the header
    /// begins after it.
    fn strayed(draft: &mut Draft, marker: Marker) -> Vec<Event> {
        if !draft.marked.is_empty() || draft.is_blank() {
            return Vec::new();
        }
        let (header, content) = draft.clone().read(false);
        if content.is_empty() {
            return Vec::new();
        }
        *draft = Draft {
            malformed: vec![format!("text before {}", marker.as_str())],
            ..Draft::of_assistant()
        };
        vec![Event::Begin(header), Event::Text(content), Event::End(Some(marker))]
    }

    /// `<|start|>` within a header: what was read is either a header said twice, or content whose
    /// header never came.
    fn restart(&mut self, draft: Draft) -> Vec<Event> {
        let mut next = Draft::begun();
        let was_started = draft.started;
        let (header, content) = draft.read(false);
        if content.is_empty() {
            if was_started {
                next.malformed.push("<|start|> twice".into());
            }
            next.carried = header.raw;
            self.state = State::Header(next);
            return Vec::new();
        }
        let mut events = vec![Event::Begin(header), Event::Text(content)];
        events.extend(self.end(Some(Marker::Start)));
        self.state = State::Header(next);
        events
    }
}

/// A message as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its header.
    pub header: Header,
    /// Its content.
    pub content: String,
    /// The marker that ended it; `None` if it was cut off.
    pub end: Option<Marker>,
}

impl Part {
    /// The tool that this part calls.
    pub fn tool(&self) -> Option<&str> {
        let recipient = self.header.recipient.as_deref()?;
        let name = recipient.strip_prefix("functions.").unwrap_or(recipient);
        // A model that addresses itself or its user calls nothing.
        (!matches!(name, "" | "assistant" | "user" | "all")).then_some(name)
    }

    /// Whether the part is thinking. What names no channel is shown: hiding it would lose it.
    pub fn is_thinking(&self) -> bool {
        self.header.channel == Some(Channel::Analysis) && self.tool().is_none()
    }
}

/// Puts events together.
pub fn parts(events: impl IntoIterator<Item = Event>) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for event in events {
        match (event, parts.last_mut()) {
            (Event::Begin(header), _) => {
                parts.push(Part { header, content: String::new(), end: None });
            }
            (Event::Text(text), Some(part)) => part.content += &text,
            (Event::End(marker), Some(part)) => part.end = marker,
            (_, None) => {}
        }
    }
    parts
}

/// The assistant's message that parts amount to.
pub fn message(parts: &[Part]) -> Message {
    let mut message = Message::new(Role::Assistant, "");
    let mut calls = Vec::new();
    let mut thinking: Vec<&str> = Vec::new();
    let mut content: Vec<&str> = Vec::new();
    for part in parts {
        if let Some(name) = part.tool() {
            let function = FunctionCall::from_text(name, &part.content);
            calls.push(ToolCall { id: None, kind: "function".into(), function });
        } else if part.is_thinking() {
            thinking.push(&part.content);
        } else if !part.content.is_empty() {
            content.push(&part.content);
        }
    }
    message.thinking = (!thinking.is_empty()).then(|| thinking.join("\n"));
    message.content = (!content.is_empty() || calls.is_empty()).then(|| content.join("\n"));
    message.tool_calls = (!calls.is_empty()).then_some(calls);
    message
}

/// Finds markers in text that comes in pieces, where a server sends text and not tokens. Text that
/// may yet become a marker is held back.
#[derive(Debug, Default)]
pub struct Splitter {
    held: String,
}

/// A marker, or text without markers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Symbol {
    /// One of the frame's words.
    Marker(Marker),
    /// Anything else.
    Text(String),
}

impl Splitter {
    /// What the next piece of text makes certain.
    pub fn push(&mut self, text: &str) -> Vec<Symbol> {
        self.held += text;
        let mut symbols = Vec::new();
        let mut text_from = 0;
        let mut at = 0;
        while let Some(found) = self.held[at..].find("<|") {
            at += found;
            let rest = &self.held[at..];
            let whole = Marker::ALL.into_iter().find(|marker| rest.starts_with(marker.as_str()));
            if let Some(marker) = whole {
                push_text(&mut symbols, &self.held[text_from..at]);
                symbols.push(Symbol::Marker(marker));
                at += marker.as_str().len();
                text_from = at;
            } else if Marker::ALL.iter().any(|marker| marker.as_str().starts_with(rest)) {
                break;
            } else {
                at += 2;
            }
        }
        let safe = match self.held[text_from..].rfind('<') {
            Some(last) if is_beginning(&self.held[text_from + last..]) => text_from + last,
            _ => self.held.len(),
        };
        push_text(&mut symbols, &self.held[text_from..safe]);
        self.held.drain(..safe);
        symbols
    }

    /// What was held back is text after all.
    pub fn finish(self) -> Option<Symbol> {
        (!self.held.is_empty()).then_some(Symbol::Text(self.held))
    }
}

fn is_beginning(text: &str) -> bool {
    Marker::ALL.iter().any(|marker| marker.as_str().starts_with(text))
}

fn push_text(symbols: &mut Vec<Symbol>, text: &str) {
    if !text.is_empty() {
        symbols.push(Symbol::Text(text.to_owned()));
    }
}

/// Reads pieces of text to the end.
pub fn read<'t>(mut parser: Parser, pieces: impl IntoIterator<Item = &'t str>) -> Vec<Part> {
    let mut splitter = Splitter::default();
    let mut events = Vec::new();
    let mut feed = |symbol: Symbol| match symbol {
        Symbol::Marker(marker) => events.extend(parser.marker(marker)),
        Symbol::Text(text) => events.extend(parser.text(&text)),
    };
    for piece in pieces {
        splitter.push(piece).into_iter().for_each(&mut feed);
    }
    splitter.finish().into_iter().for_each(&mut feed);
    events.extend(parser.finish());
    parts(events)
}
