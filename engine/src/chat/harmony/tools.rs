//! Tools as gpt-oss reads them: a TypeScript namespace. Writes what the template shipped with the
//! model writes, line breaks and all: the model was trained on those bytes. Knows JSON Schema as
//! far as that template does.

use crate::chat::Tool;
use crate::chat::template::json_text;
use crate::error::{Error, Result};
use serde_json::Value as Json;

/// Deepest nesting of a schema.
const DEPTH_MAX: usize = 32;
/// Longest element type that is spelt out; a longer one becomes `any[]`.
const ELEMENT_CHARS_MAX: usize = 50;
/// What the template's own indentation leaves before a type inside an object, and before a default
/// inside a union.
const OBJECT_INDENT: &str = "\n                ";
const UNION_INDENT: &str = "                    ";

/// The section `## functions` with one type per tool.
pub(super) fn namespace(tools: &[Tool]) -> Result<String> {
    let mut out = String::from("## functions\n\nnamespace functions {\n\n");
    for tool in tools {
        let function = tool.function();
        // The template cannot render a tool without a description; the line is simply left out.
        if let Some(description) = text(function, "description") {
            out += &format!("// {description}\n");
        }
        out += &format!("type {} = ", tool.name()?);
        let parameters = &function["parameters"];
        match parameters["properties"].as_object() {
            Some(properties) if !properties.is_empty() => {
                out += "(_: {\n";
                for (name, schema) in properties {
                    parameter(&mut out, name, schema, is_required(parameters, name))?;
                }
                out += "}) => any;\n\n";
            }
            _ => out += "() => any;\n\n",
        }
    }
    out += "} // namespace functions";
    Ok(out)
}

fn parameter(out: &mut String, name: &str, schema: &Json, required: bool) -> Result<()> {
    if let Some(description) = text(schema, "description") {
        *out += &format!("// {description}\n");
    }
    let optional = if required { "" } else { "?" };
    *out += &format!("{name}{optional}: {}", type_of(schema, 0)?);
    if let Some(default) = schema.get("default") {
        if is_truthy(&schema["enum"]) {
            *out += &format!(", // default: {}", bare(default));
        } else if is_truthy(&schema["oneOf"]) {
            *out += &format!("// default: {}", bare(default));
        } else {
            *out += &format!(", // default: {}", json_text(default));
        }
    }
    *out += ",\n";
    Ok(())
}

fn type_of(schema: &Json, depth: usize) -> Result<String> {
    if depth > DEPTH_MAX {
        return Err(Error::Usage(format!("a tool's parameters nest deeper than {DEPTH_MAX}")));
    }
    let or_null = if is_truthy(&schema["nullable"]) { " | null" } else { "" };
    if let Some(types) = schema["type"].as_array().filter(|types| !types.is_empty()) {
        let names: Vec<String> = types.iter().map(bare).collect();
        return Ok(names.join(" | "));
    }
    let kind = schema["type"].as_str();
    if kind == Some("array") {
        return Ok(element_type(&schema["items"], depth)? + "[]" + or_null);
    }
    if is_truthy(&schema["oneOf"]) {
        return union(&schema["oneOf"], depth);
    }
    Ok(match kind {
        Some("string") => match schema["enum"].as_array().filter(|words| !words.is_empty()) {
            Some(words) => {
                let words: Vec<String> = words.iter().map(bare).collect();
                format!("\"{}\"", words.join("\" | \""))
            }
            None => format!("string{or_null}"),
        },
        Some("number" | "integer") => "number".into(),
        Some("boolean") => "boolean".into(),
        Some("object") => object(schema, depth)?,
        _ => "any".into(),
    })
}

fn element_type(items: &Json, depth: usize) -> Result<String> {
    if !is_truthy(items) {
        return Ok("any".into());
    }
    Ok(match items["type"].as_str() {
        // Enums and nullability of elements are not spelt out.
        Some("string") => "string".into(),
        Some("number" | "integer") => "number".into(),
        Some("boolean") => "boolean".into(),
        _ => {
            let inner = type_of(items, depth + 1)?;
            let long = inner.chars().count() > ELEMENT_CHARS_MAX;
            if inner == "object | object" || long { "any".into() } else { inner }
        }
    })
}

fn union(variants: &Json, depth: usize) -> Result<String> {
    let variants = variants.as_array().map_or(&[][..], Vec::as_slice);
    let mut out = String::new();
    for (index, variant) in variants.iter().enumerate() {
        out += &type_of(variant, depth + 1)?;
        if let Some(description) = text(variant, "description") {
            out += &format!("// {description}");
        }
        if let Some(default) = variant.get("default") {
            out += &format!("{UNION_INDENT}// default: {}", json_text(default));
        }
        if index + 1 < variants.len() {
            out += " | \n";
        }
    }
    Ok(out)
}

fn object(schema: &Json, depth: usize) -> Result<String> {
    let Some(properties) = schema["properties"].as_object().filter(|some| !some.is_empty()) else {
        return Ok("object".into());
    };
    let mut fields = Vec::new();
    for (name, inner) in properties {
        let optional = if is_required(schema, name) { "" } else { "?" };
        let inner = type_of(inner, depth + 1)?;
        fields.push(format!("{name}{optional}: {OBJECT_INDENT}{inner}"));
    }
    Ok(format!("{{\n{}}}", fields.join(", ")))
}

/// A string without its quotes.
fn bare(value: &Json) -> String {
    value.as_str().map_or_else(|| json_text(value), str::to_owned)
}

fn is_required(schema: &Json, name: &str) -> bool {
    let required = schema["required"].as_array();
    required.is_some_and(|names| names.iter().any(|other| other.as_str() == Some(name)))
}

fn text<'j>(schema: &'j Json, key: &str) -> Option<&'j str> {
    schema.get(key)?.as_str().filter(|text| !text.is_empty())
}

/// What Python takes for true.
fn is_truthy(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(truth) => *truth,
        Json::Number(number) => number.as_f64() != Some(0.0),
        Json::String(text) => !text.is_empty(),
        Json::Array(items) => !items.is_empty(),
        Json::Object(fields) => !fields.is_empty(),
    }
}
