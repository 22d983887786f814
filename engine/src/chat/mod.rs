//! Conversations: from messages to the text a model was trained on, and for gpt-oss back again.
//!
//! Knows roles, tools and templates. Does not know token ids beyond the names of markers, and
//! nothing of HTTP: the wire types are `http::wire`'s.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

pub mod clock;
pub mod harmony;
pub mod prompt;
pub mod template;

pub use clock::Clock;
pub use template::{Limits, Template};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The operator of the model.
    System,
    /// The author of an application; what most APIs call the system prompt.
    Developer,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// The answer of a tool that the model called.
    Tool,
}

impl Role {
    /// The word that templates compare with.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::Developer => "developer",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        }
    }
}

/// One message. A field that is `None` is absent in the template, not `none`: templates ask
/// `'tool_calls' in message`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said; absent only in an assistant's message that calls tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Name of the speaker or of the tool that answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the model thought before it spoke. Templates disagree about the name: gpt-oss reads
    /// `thinking`, most others `reasoning_content`; both are set when rendering.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
    /// Tools the assistant calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall>>,
    /// Which call a tool's message answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
}

impl Message {
    /// A message that only says something.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Message {
            role,
            content: Some(content.into()),
            name: None,
            thinking: None,
            tool_calls: None,
            tool_call_id: None,
        }
    }
}

/// A call of a tool by the assistant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// The caller's id for the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Always `function`.
    #[serde(rename = "type", default = "function_kind")]
    pub kind: String,
    /// Which function, with which arguments.
    pub function: FunctionCall,
}

fn function_kind() -> String {
    "function".into()
}

/// A function's name and the arguments it is called with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionCall {
    /// Name without namespace.
    pub name: String,
    /// Arguments as JSON. Templates apply `tojson`, so a text that holds an object must become
    /// that object first, or the model reads a quoted string: see [`FunctionCall::from_text`].
    pub arguments: serde_json::Value,
}

impl FunctionCall {
    /// A call whose arguments arrive as text, as the OpenAI API sends them. Text that is not a
    /// JSON object stays a string: the model did write it, and it must see what it wrote.
    pub fn from_text(name: impl Into<String>, arguments: &str) -> Self {
        let parsed = serde_json::from_str(arguments).ok();
        let arguments = match parsed.filter(serde_json::Value::is_object) {
            Some(object) => object,
            None => serde_json::Value::String(arguments.to_owned()),
        };
        FunctionCall { name: name.into(), arguments }
    }
}

/// A tool the model may call: `{"type": "function", "function": {name, description, parameters}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tool(pub serde_json::Value);

impl Tool {
    /// The tool's function object, whether wrapped or bare.
    pub fn function(&self) -> &serde_json::Value {
        self.0.get("function").unwrap_or(&self.0)
    }

    /// The function's name.
    pub fn name(&self) -> Result<&str> {
        match self.function().get("name").and_then(|name| name.as_str()) {
            Some(name) if !name.is_empty() => Ok(name),
            _ => Err(Error::Usage(format!("a tool has no string 'function.name': {}", self.0))),
        }
    }
}
