//! What a red vector prints: the first thing an engineer sees of this suite on a bad day.

use crate::suites::vectors;
use harness::{Failure, Run};
use regex::Regex;

/// A vector that is wrong on purpose: it wants what Hugging Face's layout would hold.
const VECTOR: &str = r#"
suite = "format-decode"
about = "A vector with a wrong want."
source = { kind = "hand", ref = "made up, to be red" }

[flag.C08]
bug = "GGUF keeps elements j and j + 16 in byte j, Hugging Face 2j and 2j + 1"
effect = "half of the weights are in each other's places"

[[case]]
name = "wrong-on-purpose"
about = "Each byte holds two neighbours."
flags = ["C08"]
format = "MXFP4"
block = "7f 30 41 52 63 74 05 16 27 30 41 52 63 74 05 16 27"
want = [
    "0 0x1.8p0 0x1p-1 2 1 3 0x1.8p0 4",
    "2 6 3 0 4 0x1p-1 6 1",
    "0 0x1.8p0 0x1p-1 2 1 3 0x1.8p0 4",
    "2 6 3 0 4 0x1p-1 6 1",
]
"#;

pub(super) fn vector() -> Result<String, Failure> {
    let folder = tempfile::tempdir()?;
    std::fs::create_dir(folder.path().join("example"))?;
    std::fs::write(folder.path().join("example/red.toml"), VECTOR)?;
    let cases = vectors::cases_under(folder.path());
    let case = cases.first().ok_or("the vector was not found")?;
    let text = match (case.body)(&mut Run::default()) {
        Ok(()) => return Err("a vector that is wrong on purpose is green".into()),
        Err(failure) => format!("{}\n{}", case.name, failure.text()),
    };
    let folder = folder.path().to_str().ok_or("the temporary folder's name is not UTF-8")?;
    let text = text.replace(&format!("{folder}/"), "");
    // Which decoder is tried first depends on the machine, and the line on whoever edits the file.
    let changing = [(r"\((Avx512|Avx2|Scalar)\)", "(DECODER)"), (r"(\.rs):\d+", "$1:LINE")];
    changing.iter().try_fold(text, |text, (pattern, fixed)| {
        Ok(Regex::new(pattern)?.replace_all(&text, *fixed).into_owned())
    })
}
