//! What a vector's file knows about a red case: what it shows, where its want comes from, and which
//! known bugs look like this. Knows the shared head only.

use harness::Failure;
use harness::vector::{CaseHead, Head, SourceKind};
use std::fmt::Write;
use std::path::Path;

/// The failure with the lines that a reader would look up next.
pub(super) fn explain(failure: &Failure, path: &Path, head: &Head, case: &CaseHead) -> Failure {
    let mut text = failure.text().trim_end().to_owned();
    let about = if case.about.is_empty() { &head.about } else { &case.about };
    let kind = match head.source.kind {
        SourceKind::Spec => "specification",
        SourceKind::Oracle => "recorded from",
        SourceKind::Hand => "by hand",
        SourceKind::Regression => "a bug that happened",
    };
    let _ = write!(text, "\n  about     {about}");
    let _ = write!(text, "\n  source    {kind}: {}", head.source.reference);
    for id in &case.flags {
        if let Some(flag) = head.flag.get(id) {
            let _ = write!(text, "\n  known bug {id}: {}\n            {}", flag.effect, flag.bug);
        }
    }
    let _ = write!(text, "\n  vector    {}", path.display());
    Failure::from(text)
}
