//! What is shown of the ids that a model makes: text as soon as it is certain, without stop strings
//! and, in a conversation with gpt-oss, without its frame. Knows no model and no sampling.

use crate::chat::harmony::parse::Event;
use crate::chat::harmony::{Marker, Parser, Part};
use crate::error::Result;
use crate::tokenizer::{EncodeOptions, StopHolder, TextStream, Tokenizer};

/// An answer as it comes.
pub(super) struct Answer {
    stream: TextStream,
    /// Present in a conversation with a model that speaks harmony.
    frame: Option<Frame>,
    stops: StopHolder,
    /// What has been shown.
    pub(super) text: String,
    /// What the model thought.
    pub(super) thinking: String,
}

struct Frame {
    parser: Parser,
    /// Whether the part that is being read is thinking.
    thinks: bool,
}

impl Answer {
    /// `chat`: the ids answer a rendered conversation.
    pub(super) fn new(tokenizer: &Tokenizer, chat: bool, stops: &[String]) -> Result<Answer> {
        let frame = match chat && speaks_harmony(tokenizer)? {
            true => Some(Frame { parser: Parser::after_prompt(), thinks: false }),
            false => None,
        };
        Ok(Answer {
            stream: TextStream::new(false),
            frame,
            stops: StopHolder::new(stops),
            text: String::new(),
            thinking: String::new(),
        })
    }

    /// What can be shown after another id, and whether a stop string was met.
    pub(super) fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> Result<(String, bool)> {
        let text = match &mut self.frame {
            None => self.stream.push(tokenizer, id)?,
            Some(frame) => match Marker::from_token_text(&tokenizer.decode(&[id], true)?) {
                Some(marker) => {
                    let mut events = frame.parser.text(&self.stream.finish());
                    events.extend(frame.parser.marker(marker));
                    self.read(events)
                }
                None => {
                    let text = self.stream.push(tokenizer, id)?;
                    let events = frame.parser.text(&text);
                    self.read(events)
                }
            },
        };
        let stopped = self.stops.push(&text);
        self.text += &stopped.text;
        Ok((stopped.text, stopped.stop.is_some()))
    }

    /// What was held back, now that nothing follows.
    pub(super) fn finish(&mut self) -> String {
        let left = self.stream.finish();
        let left = match self.frame.take() {
            None => left,
            Some(mut frame) => {
                let mut events = frame.parser.text(&left);
                self.frame = Some(Frame { parser: Parser::after_prompt(), thinks: frame.thinks });
                events.extend(frame.parser.finish());
                self.read(events)
            }
        };
        let mut text = self.stops.push(&left).text;
        text += &self.stops.finish();
        self.text += &text;
        text
    }

    /// Thinking is kept; what is said is given back.
    fn read(&mut self, events: Vec<Event>) -> String {
        let mut said = String::new();
        for event in events {
            match (event, &mut self.frame) {
                (Event::Begin(header), Some(frame)) => {
                    let part = Part { header, content: String::new(), end: None };
                    frame.thinks = part.is_thinking();
                }
                (Event::Text(text), Some(frame)) if frame.thinks => self.thinking += &text,
                (Event::Text(text), _) => said += &text,
                (Event::Begin(_) | Event::End(_), _) => {}
            }
        }
        said
    }
}

/// Whether each of harmony's markers is one token.
fn speaks_harmony(tokenizer: &Tokenizer) -> Result<bool> {
    let options = EncodeOptions { parse_special: true, ..EncodeOptions::PLAIN };
    for marker in Marker::ALL {
        if tokenizer.encode(marker.as_str(), options)?.len() != 1 {
            return Ok(false);
        }
    }
    Ok(true)
}
