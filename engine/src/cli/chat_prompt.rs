//! One message to a model, in the frame of the chat template that its file holds; control tokens
//! are the frame's.

use crate::chat::{Clock, Limits, Message, Role, Template, prompt, template};
use crate::error::Result;
use crate::loader::Metadata;
use crate::tokenizer::Tokenizer;
use std::str::FromStr;

/// A day that a template may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date(Clock);

impl FromStr for Date {
    type Err = String;

    fn from_str(text: &str) -> Result<Date, String> {
        let wrong = || "a date looks like 2025-06-30".to_string();
        let [year, month, day] = text.split('-').collect::<Vec<_>>()[..] else {
            return Err(wrong());
        };
        let (Ok(year), Ok(month), Ok(day)) = (year.parse(), month.parse(), day.parse()) else {
            return Err(wrong());
        };
        match (1..=12).contains(&month) && (1..=31).contains(&day) {
            true => Ok(Date(Clock::at_date(year, month, day))),
            false => Err(wrong()),
        }
    }
}

/// The ids of the prompt, ending where the assistant begins to speak.
pub(super) fn ids(
    metadata: &Metadata,
    tokenizer: &Tokenizer,
    said: &str,
    date: Option<Date>,
) -> Result<Vec<u32>> {
    let source = metadata.bytes("tokenizer.chat_template")?;
    let template = Template::from_bytes(source, Limits::default())?;
    let input = template::Input {
        messages: &[Message::new(Role::User, said)],
        tools: &[],
        add_generation_prompt: true,
        special_tokens: &prompt::special_tokens(tokenizer)?,
        extra: &serde_json::Map::new(),
        clock: date.map_or_else(Clock::now, |date| date.0),
    };
    prompt::encode(&template, &input, tokenizer)
}
