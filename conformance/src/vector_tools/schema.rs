//! JSON Schemas of vector files, for editors and for authors in other languages. Derived from the
//! types that read the files, so they cannot say anything else; `tidy::vectors::schema` holds the
//! copies under `vectors/schema/` to them.

use crate::suites::vectors::{SUITES, Suite};
use harness::vector::{CaseHead, Head};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// File name under `vectors/schema/` and text, for each suite.
pub fn documents() -> Result<BTreeMap<String, String>, String> {
    SUITES.iter().map(|suite| Ok((file_name(suite.name), document(suite)?))).collect()
}

fn file_name(suite: &str) -> String {
    format!("{suite}.schema.json")
}

fn document(suite: &Suite) -> Result<String, String> {
    let mut definitions = Map::new();
    let mut file = object(schemars::schema_for!(Head).to_value(), &mut definitions)?;
    let head = object(schemars::schema_for!(CaseHead).to_value(), &mut definitions)?;
    let own = object((suite.schema)().to_value(), &mut definitions)?;
    let case = with_head(&head, own, &definitions)
        .map_err(|what| format!("suite '{}': its case type {what}", suite.name))?;
    file["properties"]["suite"] = json!({ "const": suite.name });
    file["properties"]["case"] = json!({ "type": "array", "minItems": 1, "items": case });
    if let Some(required) = file["required"].as_array_mut() {
        required.push("case".into());
    }
    file["title"] = format!("vectors of suite {}", suite.name).into();
    file["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    file["$defs"] = definitions.into();
    let text = serde_json::to_string_pretty(&file).map_err(|error| error.to_string())?;
    Ok(text + "\n")
}

/// A schema without its definitions, which go to the document's.
fn object(mut schema: Value, definitions: &mut Map<String, Value>) -> Result<Value, String> {
    let fields = schema.as_object_mut().ok_or("is not an object")?;
    fields.remove("$schema");
    if let Some(Value::Object(own)) = fields.remove("$defs") {
        for (name, schema) in own {
            match definitions.get(&name) {
                Some(other) if *other != schema => {
                    return Err(format!("two different types are called {name}"));
                }
                _ => definitions.insert(name, schema),
            };
        }
    }
    Ok(schema)
}

/// The case's own fields beside those that every case has. A type with several shapes gets them in
/// each.
fn with_head(head: &Value, own: Value, definitions: &Map<String, Value>) -> Result<Value, String> {
    let own = match own["$ref"].as_str() {
        Some(reference) => {
            let name = reference.rsplit('/').next().unwrap_or_default();
            definitions.get(name).ok_or_else(|| format!("refers to unknown {name}"))?.clone()
        }
        None => own,
    };
    for choice in ["oneOf", "anyOf"] {
        if let Some(Value::Array(shapes)) = own.get(choice) {
            let shapes = shapes.iter().map(|shape| with_head(head, shape.clone(), definitions));
            return Ok(json!({ choice: shapes.collect::<Result<Vec<_>, _>>()? }));
        }
    }
    if own["additionalProperties"] != json!(false) {
        return Err("accepts unknown keys: add #[serde(deny_unknown_fields)]".into());
    }
    let mut case = own;
    for (name, schema) in head["properties"].as_object().into_iter().flatten() {
        if case["properties"].get(name).is_some() {
            return Err(format!("has a field '{name}', which every case has"));
        }
        case["properties"][name] = schema.clone();
    }
    let mut required = head["required"].as_array().cloned().unwrap_or_default();
    required.extend(case["required"].as_array().cloned().unwrap_or_default());
    case["required"] = required.into();
    Ok(case)
}
