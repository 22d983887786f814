//! What a red vector prints: the first thing an engineer sees of this suite on a bad day.

use crate::suites::vectors;
use harness::{Failure, Run};

/// A vector that is wrong on purpose.
const VECTOR: &str = r#"
suite = "format-decode"
about = "A vector with a wrong want."
source = { kind = "hand", ref = "made up, to be red" }

[flag.C06]
bug = "engine#1"
effect = "small scales are flushed"

[[case]]
name = "wrong-on-purpose"
about = "Code 1 under scale 0 is not 0."
flags = ["C06"]
format = "MXFP4"
block = "00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
want = [
    "0x0p0 0x0p0 0x0p0 0x0p0 0x0p0 0x0p0 0x0p0 0x0p0",
    "0x0p0 0x0p0 0x0p0 0x0p0 0x0p0 0x0p0 0x0p0 0x0p0",
    "0x0p0 0x0p0 0x0p0 0x0p0 0x0p0 0x0p0 0x0p0 0x0p0",
    "0x0p0 0x0p0 0x0p0 0x0p0 0x0p0 0x0p0 0x0p0 0x0p0",
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
    // Which decoder is tried first depends on the machine.
    let decoder = text.replace("Avx512:", "DECODER:").replace("Avx2:", "DECODER:");
    Ok(decoder.replace("Scalar:", "DECODER:").replace(&format!("{folder}/"), ""))
}
