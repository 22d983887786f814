//! Writing and reading are each other's inverse, and what was written is what a second spelling of
//! the same file says. Knows files that must be accepted; attacks stand elsewhere.

use super::construct::{self, Piece};
use super::draft::{Draft, any_draft};
use super::{mutate, oracle};
use crate::property;
use engine::loader::gguf::{Layout, Writer};
use harness::{Case, Failure};

/// The cases.
pub fn cases() -> Vec<Case> {
    vec![
        property::case_with(
            "property::gguf::written-and-read",
            any_draft(),
            Draft::to_vector,
            check,
        ),
        Case::new("gguf::roundtrip::small-model", |_| {
            let bytes = mutate::base()?.bytes;
            let layout = Layout::parse(&bytes)?;
            oracle::verify(&bytes, &layout)?;
            same(&rewritten(&bytes, &layout)?, &bytes, "written again")
        }),
    ]
}

fn check(draft: &Draft) -> Result<(), Failure> {
    let pieces: Vec<Piece> = draft.pieces().into_iter().map(Piece::Line).collect();
    let bytes = draft.writer().to_bytes()?;
    same(&bytes, &construct::build(&pieces)?.bytes, "as pieces")?;
    let layout = Layout::parse(&bytes)?;
    oracle::verify(&bytes, &layout)?;
    if let Some(warning) = layout.warnings.first() {
        return Err(format!("a written file gets a warning: {warning}").into());
    }
    for tensor in &draft.tensors {
        let info = layout.tensor(&tensor.name).ok_or("a tensor is lost")?;
        let range = info.file_range();
        let data = bytes.get(range.start as usize..range.end as usize);
        if data != Some(&tensor.data) {
            return Err(format!("{}: not the data that was written", info.place()).into());
        }
    }
    same(&rewritten(&bytes, &layout)?, &bytes, "written again")
}

fn rewritten(bytes: &[u8], layout: &Layout) -> Result<Vec<u8>, Failure> {
    let mut writer = Writer::new();
    writer.version(layout.version);
    for (key, value) in layout.metadata.iter() {
        writer.set(key, value.clone());
    }
    for info in &layout.tensors {
        let range = info.file_range();
        let data = bytes.get(range.start as usize..range.end as usize).unwrap_or_default();
        writer.tensor(&info.name, info.format, &info.shape, data);
    }
    Ok(writer.to_bytes()?)
}

fn same(left: &[u8], right: &[u8], what: &str) -> Result<(), Failure> {
    if left == right {
        return Ok(());
    }
    let at = left.iter().zip(right).position(|(a, b)| a != b);
    let at = at.unwrap_or(left.len().min(right.len()));
    let (left_len, right_len) = (left.len(), right.len());
    Err(format!("differs {what} at byte {at} (lengths {left_len} and {right_len})").into())
}
