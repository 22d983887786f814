//! Renders a model's own chat template: Jinja as `transformers` runs it, in a box.
//!
//! A template comes from a model file that nobody has vetted, so it gets no files, no includes, no
//! clock but the injected one, and limits: instructions, bytes touched, bytes of text, nesting.
//! Knows Jinja and Python's habits; does not know what any particular model's template says.

use super::{Clock, Message, Role, Tool};
use crate::error::{Error, Result};
use minijinja::machinery::{CompiledTemplate, TemplateConfig, eval, make_string_output};
use minijinja::{AutoEscape, Environment, ErrorKind, Value};
use serde_json::{Map, Value as Json};
use std::collections::BTreeSet;
use std::sync::Arc;

mod json;
mod meter;
mod names;
mod python;
mod source;
mod verbs;

/// What a template may use. The defaults leave a factor of ten to the longest real template and to
/// a conversation that fills 128k tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Size of the template's text.
    pub source_bytes: usize,
    /// Number of `{{ … }}` and `{% … %}`.
    pub tags: usize,
    /// Words in one of them.
    pub tag_tokens: usize,
    /// Instructions of one rendering.
    pub fuel: u64,
    /// Bytes that the operations of one rendering read and write.
    pub work_bytes: usize,
    /// Bytes of the rendered text, and of any text on the way to it.
    pub output_bytes: usize,
    /// Nesting of macros and loops.
    pub recursion: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            source_bytes: 256 << 10,
            tags: 10_000,
            tag_tokens: 1024,
            fuel: 10_000_000,
            work_bytes: 512 << 20,
            output_bytes: 16 << 20,
            recursion: 200,
        }
    }
}

/// Both the compiler and the rendering recurse with the template's nesting. They run on a stack of
/// their own, so that what is safe does not depend on who calls.
const STACK_BYTES: usize = 32 << 20;

/// Names a request's extra variables may not take: what we give every template, the special
/// tokens, and the words of the language.
const RESERVED: [&str; 32] = [
    "messages",
    "tools",
    "documents",
    "add_generation_prompt",
    "continue_final_message",
    "chat_template",
    "conversation",
    "tokenize",
    "return_dict",
    "return_tensors",
    "padding",
    "truncation",
    "max_length",
    "bos_token",
    "eos_token",
    "pad_token",
    "unk_token",
    "sep_token",
    "cls_token",
    "mask_token",
    "raise_exception",
    "strftime_now",
    "range",
    "dict",
    "namespace",
    "debug",
    "loop",
    "caller",
    "self",
    "super",
    "varargs",
    "kwargs",
];

/// What one rendering is given.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The conversation so far.
    pub messages: &'a [Message],
    /// Tools on offer. Without any, the template sees `tools = none`, as `transformers` gives it.
    pub tools: &'a [Tool],
    /// Whether to end with the words that open the assistant's turn.
    pub add_generation_prompt: bool,
    /// `bos_token`, `eos_token` and their like, as the model's file names them.
    pub special_tokens: &'a [(String, String)],
    /// Further variables of the request (`chat_template_kwargs`), e.g. `reasoning_effort`.
    pub extra: &'a Map<String, Json>,
    /// What `strftime_now` shows.
    pub clock: Clock,
}

/// A template that has been checked and can be rendered.
#[derive(Debug, Clone)]
pub struct Template {
    source: String,
    variables: BTreeSet<String>,
    limits: Limits,
}

impl Template {
    /// Reads a template as the bytes of a model file; a file may hold any bytes.
    pub fn from_bytes(bytes: &[u8], limits: Limits) -> Result<Self> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Template::compile(text, limits),
            Err(error) => {
                let line = 1 + bytes[..error.valid_up_to()].iter().filter(|b| **b == b'\n').count();
                Err(source::refuse(line, format!("not UTF-8: {error}")))
            }
        }
    }

    /// Checks the template's size and syntax.
    pub fn compile(text: &str, limits: Limits) -> Result<Self> {
        on_own_stack(|| {
            let source = source::prepare(text, &limits)?;
            let variables = {
                let environment = environment(&limits, Clock { unix_seconds: 0 })?;
                let found = environment.template_from_str(&source);
                found.map_err(|e| source::refused(&e))?.undeclared_variables(false)
            };
            let reserved = |name: &String| RESERVED.contains(&name.as_str()) || name == source::ONE;
            let variables = variables.into_iter().filter(|name| !reserved(name)).collect();
            Ok(Template { source, variables, limits })
        })
    }

    /// Variables of its own that the template reads, and that a request may therefore set.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(String::as_str)
    }

    /// Whether a request may set these variables: the template must read each of them, and none may
    /// stand in for one of ours.
    pub fn check_extra(&self, extra: &Map<String, Json>) -> Result<()> {
        for name in extra.keys() {
            if RESERVED.contains(&name.as_str()) {
                return Err(Error::Usage(format!(
                    "template variable '{name}' is set by the engine and cannot be overridden"
                )));
            }
            if !self.variables.contains(name) {
                let known: Vec<&str> = self.variables().collect();
                let known = known.join(", ");
                return Err(Error::Usage(format!(
                    "the chat template has no variable '{name}'; it reads: {known}"
                )));
            }
        }
        Ok(())
    }

    /// The conversation as text.
    pub fn render(&self, input: &Input) -> Result<String> {
        self.check_extra(input.extra)?;
        self.render_with(input, said(input))
    }

    /// The conversation as text, with `mark` applied to everything that somebody says or offers in
    /// it. `None` if that changes nothing.
    pub fn render_marked(
        &self,
        input: &Input,
        mark: &dyn Fn(&str) -> String,
    ) -> Option<Result<String>> {
        let plain = said(input);
        let marked = plain.iter().map(|(name, value)| (name.clone(), marked(value, mark)));
        let marked: Map<String, Json> = marked.collect();
        (marked != plain).then(|| self.render_with(input, marked))
    }

    fn render_with(&self, input: &Input, said: Map<String, Json>) -> Result<String> {
        on_own_stack(|| {
            let environment = environment(&self.limits, input.clock)?;
            let root = variables(input, said);
            self.run(&environment, root).map_err(|error| source::refused(&error))
        })
    }

    fn run(&self, environment: &Environment, root: Value) -> Result<String, minijinja::Error> {
        const NAME: &str = "chat template";
        let config = TemplateConfig {
            syntax_config: environment.syntax().clone(),
            default_auto_escape: Arc::new(|_| AutoEscape::None),
        };
        let compiled = CompiledTemplate::new(NAME, &self.source, &config)?;
        let program = meter::metered(&compiled.instructions, NAME, &self.source);
        let mut text = String::new();
        let mut output = make_string_output(&mut text);
        eval(environment, &program, root, &compiled.blocks, &mut output, AutoEscape::None)?;
        Ok(text)
    }

    /// Renders a short conversation and looks for its text: a template that drops what the user
    /// says, or never ends, is refused when the model is loaded and not at the first request.
    pub fn self_test(&self, special_tokens: &[(String, String)]) -> Result<()> {
        const SAID: &str = "orcd-self-test-7f3a";
        let text = self.render(&Input {
            messages: &[Message::new(Role::User, SAID)],
            tools: &[],
            add_generation_prompt: true,
            special_tokens,
            extra: &Map::new(),
            clock: Clock { unix_seconds: 0 },
        })?;
        match text.matches(SAID).count() {
            1 => Ok(()),
            times => {
                let detail =
                    format!("a user's message appears {times} times in the prompt, not once");
                Err(source::refuse(0, detail))
            }
        }
    }
}

/// JSON as Python writes it, and therefore as templates do.
pub(crate) fn json_text(value: &Json) -> String {
    json::dumps(value)
}

fn on_own_stack<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("chat-template".into());
        let worker = builder
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
            .map_err(|error| source::refuse(0, format!("no thread to render on: {error}")))?;
        match worker.join() {
            Ok(result) => result,
            Err(_) => Err(source::refuse(0, "the template engine broke off")),
        }
    })
}

fn environment(limits: &Limits, clock: Clock) -> Result<Environment<'static>> {
    let budget = verbs::Budget { work_bytes: limits.work_bytes, text_bytes: limits.output_bytes };
    let mut environment = Environment::new();
    environment.set_syntax(source::syntax()?);
    environment.set_fuel(Some(limits.fuel));
    environment.set_recursion_limit(limits.recursion);
    environment.remove_global("debug");
    environment.add_global(source::ONE, 1);
    environment.add_filter("trim", python::trim);
    environment.add_filter("length", python::length);
    environment.add_filter("count", python::length);
    verbs::register_tojson(&mut environment, budget);
    verbs::register(&mut environment, budget);
    environment.add_function("raise_exception", |message: String| -> Result<Value, _> {
        Err(minijinja::Error::new(ErrorKind::InvalidOperation, format!("raised: {message}")))
    });
    environment.add_function("strftime_now", move |format: &str| {
        let wrong = |detail| minijinja::Error::new(ErrorKind::InvalidOperation, detail);
        clock.strftime(format).map_err(wrong)
    });
    Ok(environment)
}

/// What comes from outside: the request's variables, messages, tools.
fn said(input: &Input) -> Map<String, Json> {
    let mut said = input.extra.clone();
    let tools: Vec<Json> = input.tools.iter().map(|tool| tool.0.clone()).collect();
    said.insert("messages".into(), Json::Array(input.messages.iter().map(message).collect()));
    said.insert("tools".into(), if tools.is_empty() { Json::Null } else { Json::Array(tools) });
    said
}

/// The value with `mark` applied to its texts.
fn marked(value: &Json, mark: &dyn Fn(&str) -> String) -> Json {
    match value {
        Json::String(text) => Json::String(mark(text)),
        Json::Array(items) => items.iter().map(|item| marked(item, mark)).collect(),
        Json::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| (mark(key), marked(value, mark)));
            Json::Object(fields.collect())
        }
        other => other.clone(),
    }
}

/// Our variables, after the request's: what the engine sets always wins.
fn variables(input: &Input, said: Map<String, Json>) -> Value {
    let mut root = said;
    for (name, token) in input.special_tokens {
        root.insert(name.clone(), Json::String(token.clone()));
    }
    root.insert("documents".into(), Json::Null);
    root.insert("add_generation_prompt".into(), Json::Bool(input.add_generation_prompt));
    Value::from(minijinja::value::Serde(&root))
}

fn message(message: &Message) -> Json {
    // A message is strings, lists and maps: nothing that JSON cannot hold.
    let mut fields = match serde_json::to_value(message) {
        Ok(Json::Object(fields)) => fields,
        _ => Map::new(),
    };
    if let Some(thinking) = &message.thinking {
        fields.insert("reasoning_content".into(), Json::String(thinking.clone()));
    }
    Json::Object(fields)
}
