//! Runs the scripts under `oracles/`. Knows how to start Python, not what the scripts ask.

use crate::Result;
use crate::store::root;
use std::io::Write;
use std::process::{Command, Stdio};

/// `GOLDEN_PYTHON` names the interpreter that has `oracles/requirements.txt` installed.
fn interpreter() -> String {
    std::env::var("GOLDEN_PYTHON").unwrap_or_else(|_| "python3".into())
}

/// What `script` prints when it is given `arguments` and `input`.
pub(crate) fn ask(script: &str, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>> {
    let mut child = Command::new(interpreter())
        .arg(root().join("oracles").join(script))
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONHASHSEED", "0")
        .env("PYTHONUTF8", "1")
        .env("TRANSFORMERS_VERBOSITY", "error")
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}", interpreter()))?;
    // The scripts read all of their input before they print, so this cannot deadlock.
    child.stdin.take().ok_or("no standard input")?.write_all(input)?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let hint =
            "oracles/requirements.txt lists what it needs; GOLDEN_PYTHON names the interpreter";
        return Err(format!("{script}: {}; {hint}", output.status).into());
    }
    Ok(output.stdout)
}

/// The scripts themselves are inputs of what they record.
pub(crate) fn inputs(scripts: &[&str]) -> Vec<String> {
    let shared = ["requirements.txt", "pinned.py"];
    shared.iter().chain(scripts).map(|script| format!("oracles/{script}")).collect()
}
