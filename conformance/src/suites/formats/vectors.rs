//! Suites on block formats: `format-table`, `format-decode`, `format-encode`, `mx-element` and
//! `mxfp4-layout`. Bytes and numbers are written as `exact` reads them.

use crate::exact;
use crate::suites::vectors::Vector;
use engine::quant::encode::{Rule, Tally};
use engine::quant::{self, Format, mx, mxfp4};
use harness::compare::arrays;
use harness::vector::{CaseHead, Head};
use harness::{Failure, Run};
use schemars::JsonSchema;
use serde::Deserialize;

fn known(name: &str) -> Result<&'static Format, Failure> {
    Ok(quant::by_name(name).ok_or_else(|| format!("the engine does not know {name}"))?)
}

/// Equal bits, where any NaN equals any other. Blocks are the rows.
#[track_caller]
fn compare(what: &str, values: &[f32], want: &[f32]) -> Result<(), Failure> {
    let row = if want.len().is_multiple_of(32) { 32 } else { want.len() };
    arrays(what, values, want)
        .shape(&[("block", want.len() / row.max(1)), ("element", row)])
        .non_finite("the vector writes it out")
        .exactly()
}

/// A row of the table of formats.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::suites) struct FormatRow {
    /// GGUF's type id.
    id: u32,
    /// Its name; absent where the id must be unknown.
    #[serde(default)]
    format: Option<String>,
    /// Elements of a block.
    #[serde(default)]
    block_len: usize,
    /// Bytes of a block.
    #[serde(default)]
    block_bytes: usize,
}

impl Vector for FormatRow {
    const SUITE: &'static str = "format-table";

    fn judge(&self, _: &Head, _: &CaseHead, _: &mut Run) -> Result<(), Failure> {
        let row = |format: &Format| (format.name.to_owned(), format.block_len, format.block_bytes);
        let want = self.format.clone().map(|name| (name, self.block_len, self.block_bytes));
        let found = quant::by_id(self.id).map(row);
        if found != want {
            return Err(format!("id {}: {found:?}, must be {want:?}", self.id).into());
        }
        let same_by_name = want.is_none_or(|want| quant::by_name(&want.0).map(row) == Some(want));
        same_by_name.then_some(()).ok_or_else(|| "by name it is another".into())
    }
}

/// Blocks and the values they hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::suites) struct FormatDecode {
    /// Name of the format.
    format: String,
    /// Whole blocks, as bytes.
    block: String,
    /// Every element's value.
    want: Vec<String>,
}

impl Vector for FormatDecode {
    const SUITE: &'static str = "format-decode";

    fn judge(&self, _: &Head, _: &CaseHead, _: &mut Run) -> Result<(), Failure> {
        let format = known(&self.format)?;
        let (block, want) = (exact::bytes(&self.block)?, exact::floats(&self.want)?);
        if block.is_empty() || !block.len().is_multiple_of(format.block_bytes) {
            let wrong = format!("{} bytes, a block has {}", block.len(), format.block_bytes);
            return Err(wrong.into());
        }
        if format.scalar.is_none() {
            return Err(format!("{} is not decoded", format.name).into());
        }
        for (level, decode) in format.decoders() {
            let count = block.len() / format.block_bytes * format.block_len;
            let mut values = vec![f32::from_bits(0x5555_5555); count];
            decode(&block, &mut values);
            compare(&format!("{} decoded ({level:?})", format.name), &values, &want)?;
        }
        Ok(())
    }
}

/// Whose rule an encoder follows.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum RuleName {
    Ocp,
    LlamaCpp,
}

/// Values and what they are encoded to, or why they are refused.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::suites) struct FormatEncode {
    /// Name of the format.
    format: String,
    /// The rule; absent where both must do the same.
    #[serde(default)]
    rule: Option<RuleName>,
    /// Every element's value.
    values: Vec<String>,
    /// The blocks.
    #[serde(default)]
    block: Option<String>,
    /// What the blocks decode to.
    #[serde(default)]
    decoded: Option<Vec<String>>,
    /// Parts of the refusal.
    #[serde(default)]
    error: Option<Vec<String>>,
    /// Elements beyond the last code.
    #[serde(default)]
    saturated: Option<usize>,
    /// Stored numbers that are subnormal.
    #[serde(default)]
    subnormal: Option<usize>,
    /// Finite elements that became infinite.
    #[serde(default)]
    overflowed: Option<usize>,
}

impl Vector for FormatEncode {
    const SUITE: &'static str = "format-encode";

    fn judge(&self, _: &Head, _: &CaseHead, _: &mut Run) -> Result<(), Failure> {
        if self.block.is_none() && self.decoded.is_none() && self.error.is_none() {
            return Err("wants neither block, decoded nor error".into());
        }
        let rules: &[Rule] = match self.rule {
            Some(RuleName::Ocp) => &[Rule::Ocp],
            Some(RuleName::LlamaCpp) => &[Rule::LlamaCpp],
            None => &[Rule::Ocp, Rule::LlamaCpp],
        };
        rules.iter().try_for_each(|rule| self.judge_rule(*rule))
    }
}

impl FormatEncode {
    fn judge_rule(&self, rule: Rule) -> Result<(), Failure> {
        let format = known(&self.format)?;
        let encode = format.encode.ok_or_else(|| format!("{} is not encoded", format.name))?;
        let values = exact::floats(&self.values)?;
        if values.is_empty() || !values.len().is_multiple_of(format.block_len) {
            let wrong = format!("{} values, a block has {}", values.len(), format.block_len);
            return Err(wrong.into());
        }
        let mut bytes = vec![0x55; values.len() / format.block_len * format.block_bytes];
        let tally = match (encode(&values, &mut bytes, rule), &self.error) {
            (Ok(tally), None) => tally,
            (Ok(_), Some(_)) => return Err(format!("{rule:?}: accepted: {bytes:02x?}").into()),
            (Err(error), None) => return Err(format!("{rule:?}: refused: {error}").into()),
            (Err(error), Some(parts)) => {
                let error = error.to_string();
                return match parts.iter().find(|part| !error.contains(*part)) {
                    None => Ok(()),
                    Some(part) => Err(format!("refused without saying {part:?}: {error}").into()),
                };
            }
        };
        if let Some(block) = &self.block {
            arrays(&format!("{} encoded ({rule:?})", format.name), &bytes, &exact::bytes(block)?)
                .input("values", &values)
                .exactly()?;
        }
        if let Some(decoded) = &self.decoded {
            let decode = format.decode().ok_or("not decoded")?;
            let mut back = vec![0.0; values.len()];
            decode(&bytes, &mut back);
            compare("encoded and decoded", &back, &exact::floats(decoded)?)?;
        }
        let want = Tally {
            saturated: self.saturated.unwrap_or(tally.saturated),
            subnormal: self.subnormal.unwrap_or(tally.subnormal),
            overflowed: self.overflowed.unwrap_or(tally.overflowed),
        };
        if tally == want { Ok(()) } else { Err(format!("{tally:?}, must be {want:?}").into()) }
    }
}

/// Codes of an OCP MX element or scale format and their values.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::suites) struct MxElement {
    /// E4M3, E5M2, E3M2, E2M3, INT8, E2M1 or E8M0.
    pub(in crate::suites) element: String,
    /// The codes, a byte each.
    codes: String,
    /// Their values.
    want: Vec<String>,
}

impl MxElement {
    /// Each code with its value.
    pub(in crate::suites) fn pairs(&self) -> Result<Vec<(u8, f32)>, Failure> {
        let (codes, want) = (exact::bytes(&self.codes)?, exact::floats(&self.want)?);
        if codes.len() != want.len() || codes.is_empty() {
            return Err(format!("{} codes, {} wants", codes.len(), want.len()).into());
        }
        Ok(codes.into_iter().zip(want).collect())
    }
}

impl Vector for MxElement {
    const SUITE: &'static str = "mx-element";

    fn judge(&self, _: &Head, _: &CaseHead, _: &mut Run) -> Result<(), Failure> {
        let pairs = self.pairs()?;
        let value = |code: u8| match self.element.as_str() {
            "E8M0" => Ok(mx::scale(code)),
            "E2M1" => Ok(f32::from_bits(mxfp4::bits(127, code))),
            name => match mx::ELEMENTS.iter().find(|element| element.name == name) {
                Some(element) => Ok(element.value(code)),
                None => Err(format!("the engine has no element format {name}")),
            },
        };
        let values = pairs.iter().map(|(code, _)| value(*code)).collect::<Result<Vec<_>, _>>()?;
        let want: Vec<f32> = pairs.iter().map(|(_, want)| *want).collect();
        compare(&self.element, &values, &want)
    }
}

/// MXFP4 as Hugging Face ships it, the same as GGUF holds it, and the values of both.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::suites) struct Mxfp4Layout {
    /// Hugging Face's `blocks`: 16 bytes a block.
    blocks: String,
    /// Hugging Face's `scales`: one byte a block.
    scales: String,
    /// GGUF's blocks: 17 bytes each.
    gguf: String,
    /// Every element's value.
    want: Vec<String>,
}

impl Vector for Mxfp4Layout {
    const SUITE: &'static str = "mxfp4-layout";

    fn judge(&self, _: &Head, _: &CaseHead, _: &mut Run) -> Result<(), Failure> {
        let (blocks, scales) = (exact::bytes(&self.blocks)?, exact::bytes(&self.scales)?);
        let (gguf, want) = (exact::bytes(&self.gguf)?, exact::floats(&self.want)?);
        let packed = mxfp4::repack_hf(&blocks, &scales)?;
        if packed != gguf {
            return Err(format!("repacked: {packed:02x?}, must be {gguf:02x?}").into());
        }
        let mut values = vec![0.0; 32 * scales.len()];
        mxfp4::decode(&packed, &mut values);
        compare("GGUF's layout decoded", &values, &want)?;
        mxfp4::decode_hf(&blocks, &scales, &mut values);
        compare("Hugging Face's layout decoded", &values, &want)
    }
}
