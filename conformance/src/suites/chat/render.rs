//! `chat::render::TEMPLATE::CONVERSATION` — what `transformers` rendered, recorded under
//! `golden/templates`. Knows the layout of a recording; the wants are the library's.

use engine::chat::template::Input;
use engine::chat::{Clock, Limits, Message, Template, Tool};
use engine::error::Class;
use harness::{Case, Failure, Run, roots};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// 2025-06-28T13:05:09, the moment at which every recorded rendering was made.
const DATE: (&str, i64) = ("2025-06-28T13:05:09", 1_751_115_909);
const END: &str = "⟨end⟩\n";
const ERROR: &str = "[error] ";

/// Where we differ, on purpose: template, conversation, id, reason, and what we say instead.
const DEVIATIONS: &[(&str, &str, &str, &str)] = &[(
    "llama-3.1",
    "tools-none",
    "no-tools-is-none",
    "an empty list of tools is no tools: the API's default must not change the prompt",
)];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    date: String,
    /// Template → its special tokens.
    pub(super) templates: BTreeMap<String, BTreeMap<String, String>>,
    tools: BTreeMap<String, Tool>,
    pub(super) conversations: BTreeMap<String, Conversation>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Conversation {
    pub(super) messages: Vec<Message>,
    #[serde(default)]
    tools: Vec<String>,
    #[serde(default)]
    generate: bool,
    #[serde(default)]
    extra: Map<String, Value>,
}

impl Asked {
    pub(super) fn read() -> Result<Self, Failure> {
        let path = roots::project().join("golden/inputs/conversations.json");
        let asked: Asked = serde_json::from_slice(&std::fs::read(&path)?)?;
        if asked.date != DATE.0 {
            return Err(format!("recorded at {}, this suite knows {}", asked.date, DATE.0).into());
        }
        Ok(asked)
    }

    /// Calls `look` with a template and what it is given for a conversation with these messages.
    pub(super) fn input<T>(
        &self,
        template: &str,
        asked: &Conversation,
        messages: &[Message],
        look: impl FnOnce(&Template, &Input) -> T,
    ) -> Result<T, Failure> {
        let path = roots::project().join(format!("golden/inputs/templates/{template}.jinja"));
        let compiled = Template::from_bytes(&std::fs::read(path)?, Limits::default())?;
        let tools: Vec<Tool> = asked.tools.iter().map(|name| self.tools[name].clone()).collect();
        let special_tokens: Vec<_> = self.templates[template].clone().into_iter().collect();
        // The library ignores a variable that no template reads; we refuse it, so it is not sent.
        let read: Vec<&str> = compiled.variables().collect();
        let mut extra = asked.extra.clone();
        extra.retain(|name, _| read.contains(&name.as_str()));
        let input = Input {
            messages,
            tools: &tools,
            add_generation_prompt: asked.generate,
            special_tokens: &special_tokens,
            extra: &extra,
            clock: Clock { unix_seconds: DATE.1 },
        };
        Ok(look(&compiled, &input))
    }

    fn judge(&self, template: &str, conversation: &str, want: &str) -> Result<(), Failure> {
        let asked = &self.conversations[conversation];
        let render = |compiled: &Template, input: &Input| compiled.render(input);
        let rendered = self.input(template, asked, &asked.messages, render)?;
        match (rendered, want.strip_prefix(ERROR)) {
            (Ok(text), None) if text == want => Ok(()),
            (Ok(text), _) => Err(format!("rendered\n{text:?}\nthe library\n{want:?}").into()),
            (Err(error), None) => Err(error.into()),
            (Err(error), Some(said)) => {
                // A template's own words must arrive; Python's we do not repeat.
                let own = !said.contains(" object");
                let says = error.to_string();
                let same = error.class() == Some(Class::TemplateError);
                match same && (!own || says.contains(said)) {
                    true => Ok(()),
                    false => {
                        Err(format!("refused with {says:?}, the library with {said:?}").into())
                    }
                }
            }
        }
    }
}

fn judge(
    asked: &Asked,
    template: &str,
    conversation: &str,
    want: &str,
    run: &mut Run,
) -> Result<(), Failure> {
    let outcome = asked.judge(template, conversation, want);
    let declared = DEVIATIONS.iter().find(|row| (row.0, row.1) == (template, conversation));
    match (declared, outcome) {
        (None, outcome) => outcome,
        (Some((_, _, id, reason)), Err(_)) => {
            run.deviation(id, reason);
            Ok(())
        }
        (Some((_, _, id, _)), Ok(())) => Err(format!("deviation {id} is gone; remove it").into()),
    }
}

/// (conversation, text) of a recording.
fn renderings(recording: &str) -> Result<Vec<(String, String)>, Failure> {
    let body = recording.splitn(3, "---\n").nth(2).ok_or("no head of an insta snapshot")?;
    let mut found = Vec::new();
    let mut rest = body;
    while !rest.trim().is_empty() {
        let title = rest.strip_prefix("=== ").ok_or_else(|| format!("no title at {rest:.40?}"))?;
        let (name, text) = title.split_once('\n').ok_or("a title without text")?;
        let (text, after) = text.split_once(END).ok_or_else(|| format!("{name} has no end"))?;
        found.push((name.to_owned(), text.to_owned()));
        rest = after;
    }
    Ok(found)
}

fn cases_of(template: &str, asked: &Arc<Asked>) -> Result<Vec<Case>, Failure> {
    let path = roots::project().join(format!("golden/templates/{template}.snap"));
    let recording = std::fs::read_to_string(&path)?;
    let renderings = renderings(&recording)?;
    let wanted = asked.conversations.len();
    if renderings.len() != wanted {
        return Err(format!("{} renderings of {wanted} conversations", renderings.len()).into());
    }
    let case = |(conversation, want): (String, String)| {
        let (asked, template) = (Arc::clone(asked), template.to_owned());
        let name = format!("chat::render::{}::{conversation}", template.replace('.', "-"));
        Case::new(name, move |run| judge(&asked, &template, &conversation, &want, run))
    };
    Ok(renderings.into_iter().map(case).collect())
}

pub(super) fn cases() -> Vec<Case> {
    let red = |what: &str, failure: Failure| {
        let text = failure.text().to_owned();
        vec![Case::new(format!("chat::render::{what}"), move |_| Err(text.as_str().into()))]
    };
    let asked = match Asked::read() {
        Ok(asked) => Arc::new(asked),
        Err(failure) => return red("conversations-cannot-be-read", failure),
    };
    let templates = asked.templates.keys();
    let cases = templates.flat_map(|template| {
        let found = cases_of(template, &asked);
        found.unwrap_or_else(|failure| red(&template.replace('.', "-"), failure))
    });
    cases.collect()
}
