//! Shapes that have a name, as data: exactly the tensors and formats of the published files.

use super::Description;
use crate::error::{Error, Result};

macro_rules! shapes {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("shapes/", $name, ".toml")))),*]
    };
}

/// Names and descriptions.
const SHAPES: &[(&str, &str)] = shapes! {
    "gpt-oss-20b" "gpt-oss-120b" "qwen2.5-0.5b" "qwen2.5-7b" "phi-3-mini" "llama-3.1-8b" "gpt2"
};

/// All names.
pub fn names() -> impl Iterator<Item = &'static str> {
    SHAPES.iter().map(|(name, _)| *name)
}

/// The shape named `name`.
pub fn by_name(name: &str) -> Result<Description> {
    let found = SHAPES.iter().find(|(known, _)| *known == name);
    let Some((name, text)) = found else {
        let all: Vec<_> = names().collect();
        let detail = format!(
            "no shape {name:?}: there are {}, and a path ending in .toml is a description",
            all.join(", ")
        );
        return Err(Error::Usage(detail));
    };
    Description::parse(text, name)
}
