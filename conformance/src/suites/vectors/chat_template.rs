//! Suite `chat-template`: a template, a conversation, and the text that the reference makes of it.

use super::Vector;
use engine::chat::template::Input;
use engine::chat::{Clock, Limits, Message, Template, Tool};
use engine::error::Class;
use harness::vector::{CaseHead, Head};
use harness::{Failure, Run};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// One rendering.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Rendering {
    /// The template's text.
    template: String,
    /// The messages as JSON, because templates see the order of keys.
    #[serde(default = "one_message")]
    messages: String,
    /// The tools as JSON.
    #[serde(default)]
    tools: Option<String>,
    /// Further variables of the request, as JSON.
    #[serde(default)]
    extra: Option<String>,
    /// `bos_token` and its like.
    #[serde(default)]
    special_tokens: BTreeMap<String, String>,
    /// Whether the prompt opens the assistant's turn.
    #[serde(default)]
    add_generation_prompt: bool,
    /// Seconds since 1970 that the injected clock shows.
    #[serde(default)]
    unix_seconds: i64,
    /// The rendered text.
    #[serde(default)]
    want: Option<String>,
    /// Words of the refusal, when the template must not render.
    #[serde(default)]
    error: Option<Vec<String>>,
    /// The refusal is about the request, not about the template.
    #[serde(default)]
    usage: bool,
    /// How our text differs from the reference's on purpose: id and reason, with `want` ours.
    #[serde(default)]
    deviation: Option<(String, String)>,
}

fn one_message() -> String {
    r#"[{"role": "user", "content": "Hi"}]"#.into()
}

impl Rendering {
    fn render(&self) -> Result<engine::error::Result<String>, Failure> {
        let messages: Vec<Message> = serde_json::from_str(&self.messages)?;
        let tools: Vec<Tool> = serde_json::from_str(self.tools.as_deref().unwrap_or("[]"))?;
        let extra = serde_json::from_str(self.extra.as_deref().unwrap_or("{}"))?;
        let special_tokens: Vec<_> = self.special_tokens.clone().into_iter().collect();
        let input = Input {
            messages: &messages,
            tools: &tools,
            add_generation_prompt: self.add_generation_prompt,
            special_tokens: &special_tokens,
            extra: &extra,
            clock: Clock { unix_seconds: self.unix_seconds },
        };
        let template = Template::compile(&self.template, Limits::default());
        Ok(template.and_then(|template| template.render(&input)))
    }
}

impl Vector for Rendering {
    const SUITE: &'static str = "chat-template";

    fn judge(&self, _: &Head, _: &CaseHead, run: &mut Run) -> Result<(), Failure> {
        if let Some((id, reason)) = &self.deviation {
            run.deviation(id, reason);
        }
        match (self.render()?, &self.want, &self.error) {
            (Ok(text), Some(want), None) if text == *want => Ok(()),
            (Ok(text), Some(want), None) => {
                Err(format!("rendered\n{text:?}\nbut the reference renders\n{want:?}").into())
            }
            (Err(error), Some(_), None) => Err(format!("refused: {error}").into()),
            (Ok(text), None, Some(_)) => Err(format!("rendered {text:?}, must be refused").into()),
            (Err(error), None, Some(words)) => {
                let wanted = if self.usage { None } else { Some(Class::TemplateError) };
                if error.class() != wanted {
                    return Err(format!("refused as {:?}: {error}", error.class()).into());
                }
                let said = error.to_string();
                match words.iter().find(|word| !said.contains(*word)) {
                    None if !words.is_empty() => Ok(()),
                    None => Err("an error without words checks nothing".into()),
                    Some(word) => Err(format!("refused without saying {word:?}: {said}").into()),
                }
            }
            _ => Err("a case has either `want` or `error`".into()),
        }
    }
}
