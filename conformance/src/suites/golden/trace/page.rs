//! The readable half of a trace: `PROMPT.toml`. Knows its keys and its way of writing floats.

use crate::exact;
use harness::Failure;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Page {
    pub tokens: usize,
    pub ids_sha256: String,
    pub rows: Vec<usize>,
    pub n_ctx: usize,
    pub source: BTreeMap<String, String>,
    pub compared: Compared,
    /// Of a second oracle: what is left between it and llama.cpp once it does as llama.cpp does.
    pub explained: Option<Compared>,
    #[serde(default)]
    pub taps: BTreeMap<String, Summary>,
}

/// Another answer to the same prompt against this one, over the kept rows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::suites) struct Compared {
    /// Who gave it.
    pub who: String,
    #[serde(deserialize_with = "float")]
    pub nmse: f32,
    #[serde(deserialize_with = "float")]
    pub worst_row_nmse: f32,
    /// Rows whose likeliest token is another.
    pub other_top_1: usize,
}

/// What is kept of a tap of a long prompt.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::suites) struct Summary {
    pub op: String,
    pub shape: Vec<usize>,
    /// None for integers, like the two after it.
    #[serde(default, deserialize_with = "some_float")]
    pub mean: Option<f32>,
    #[serde(default, deserialize_with = "some_float")]
    pub rms: Option<f32>,
    #[serde(default, deserialize_with = "some_float")]
    pub absmax: Option<f32>,
    /// The middle elements of as many equal parts.
    #[serde(deserialize_with = "floats")]
    pub samples: Vec<f32>,
}

impl Page {
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let page: Self = toml::from_str(text)?;
        if page.rows.is_empty() || page.rows.iter().any(|row| *row >= page.tokens) {
            return Err(format!("rows {:?} of {} tokens", page.rows, page.tokens).into());
        }
        Ok(page)
    }
}

impl Summary {
    /// Where in the flattened tap the samples stand.
    pub(in crate::suites) fn places(&self) -> Vec<usize> {
        let (length, parts) = (self.shape.iter().product::<usize>(), self.samples.len());
        (0..parts).map(|part| (2 * part + 1) * length / (2 * parts)).collect()
    }
}

fn float<'de, D: serde::Deserializer<'de>>(text: D) -> Result<f32, D::Error> {
    let text = String::deserialize(text)?;
    match exact::float(&text) {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(serde::de::Error::custom(format!("'{text}' is not finite"))),
        Err(error) => Err(serde::de::Error::custom(error)),
    }
}

fn some_float<'de, D: serde::Deserializer<'de>>(text: D) -> Result<Option<f32>, D::Error> {
    float(text).map(Some)
}

fn floats<'de, D: serde::Deserializer<'de>>(text: D) -> Result<Vec<f32>, D::Error> {
    let text = String::deserialize(text)?;
    let values = exact::floats(&[&text]).map_err(serde::de::Error::custom)?;
    match values.iter().all(|value| value.is_finite()) && !values.is_empty() {
        true => Ok(values),
        false => Err(serde::de::Error::custom(format!("'{text}' is not finite, or nothing"))),
    }
}
