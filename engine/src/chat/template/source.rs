//! A template's text before it is compiled: what is refused, and the few places that are rewritten.
//! Knows tokens, not values.

use super::Limits;
use crate::error::{Class, Error, Result};
use minijinja::machinery::{Span, Token, tokenize};
use minijinja::syntax::SyntaxConfig;

/// The factor 1 as a variable: see [`prepare`].
pub(super) const ONE: &str = "__one";

/// Where Jinja strips whitespace around a tag: as `transformers` configures it.
pub(super) fn syntax() -> Result<SyntaxConfig> {
    let builder = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    builder.map_err(|error| refuse(0, format!("delimiters: {error}")))
}

/// Checks the sizes, and rewrites what the engine cannot read or must not run as it stands:
///
/// * `{% generation %}` marks what a trainer learns from; `if true` keeps its whitespace rules;
/// * `a * b` becomes `a * __one * b`, because the compiler folds constants, and a file that folds
///   `'a' * 99999999` a thousand times would fill the memory before fuel is counted.
///
/// Statements that reach for other templates are refused here, with their line; rendering would
/// refuse them too, having no loader.
///
/// Lines stay where they are, so that an error names the line of the file.
pub(super) fn prepare(source: &str, limits: &Limits) -> Result<String> {
    if source.len() > limits.source_bytes {
        let (found, wanted) = (source.len(), limits.source_bytes);
        return Err(refuse(
            0,
            format!("the template has {found} bytes, at most {wanted} are read"),
        ));
    }
    let mut out = String::with_capacity(source.len() + 64);
    let mut copied = 0;
    let mut tag = Tag::default();
    for token in tokenize(source, false, syntax()?) {
        let (token, span) = token.map_err(|error| refused(&error))?;
        if let Some(text) = tag.see(&token, &span, limits)? {
            let end = span.end_offset as usize;
            let start = if text == ONE_TIMES { end } else { span.start_offset as usize };
            out += source.get(copied..start).unwrap_or_default();
            out += text;
            copied = end;
        }
    }
    out += source.get(copied..).unwrap_or_default();
    Ok(out)
}

/// A chat template is one file.
const OTHER_TEMPLATES: [&str; 5] = ["block", "extends", "from", "import", "include"];

const ONE_TIMES: &str = " __one *";

/// What has been seen of the tag that is being read.
#[derive(Default)]
struct Tag {
    tokens: usize,
    first: bool,
    // A `*` here spreads arguments; it multiplies nothing.
    operand_before: bool,
    tags: usize,
}

impl Tag {
    /// The text that replaces the token (or, for [`ONE_TIMES`], follows it), if any.
    fn see(&mut self, token: &Token, span: &Span, limits: &Limits) -> Result<Option<&'static str>> {
        if matches!(token, Token::BlockStart | Token::VariableStart) {
            self.tags += 1;
            self.tokens = 0;
            self.first = matches!(token, Token::BlockStart);
            self.operand_before = false;
            if self.tags > limits.tags {
                let wanted = limits.tags;
                return Err(refuse(span.start_line.into(), format!("more than {wanted} tags")));
            }
            return Ok(None);
        }
        self.tokens += 1;
        if self.tokens > limits.tag_tokens {
            let wanted = limits.tag_tokens;
            return Err(refuse(
                span.start_line.into(),
                format!("a tag of more than {wanted} words"),
            ));
        }
        let first = std::mem::take(&mut self.first);
        if let Token::Ident(word) = token
            && first
            && OTHER_TEMPLATES.contains(word)
        {
            let detail = format!("'{word}': a chat template is one file, without other templates");
            return Err(refuse(span.start_line.into(), detail));
        }
        let times = matches!(token, Token::Mul) && self.operand_before;
        self.operand_before = !matches!(token, Token::ParenOpen | Token::Comma);
        Ok(match token {
            Token::Ident("generation") if first => Some("if true"),
            Token::Ident("endgeneration") if first => Some("endif"),
            Token::Mul if times => Some(ONE_TIMES),
            _ => None,
        })
    }
}

/// A refusal of the template at a line; 0 means the whole of it.
pub(super) fn refuse(line: usize, detail: impl Into<String>) -> Error {
    let place = match line {
        0 => "chat template".to_owned(),
        line => format!("chat template line {line}"),
    };
    Error::refused(Class::TemplateError, place, detail)
}

/// The engine's own error in our words: line, kind, detail and what caused it.
pub(super) fn refused(error: &minijinja::Error) -> Error {
    let mut detail = error.kind().to_string();
    if let Some(more) = error.detail() {
        detail = format!("{detail}: {more}");
    }
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        detail = format!("{detail}; {inner}");
        cause = inner.source();
    }
    refuse(error.line().unwrap_or(0), detail)
}
