//! The one line that each error class ends with, as a script sees it: exit code 3, standard error.

use crate::suites::gguf;
use crate::worker;
use harness::Failure;
use std::collections::BTreeMap;

/// For every class, the first attack file (by name) that is refused with it.
pub(super) fn one_line_a_class() -> Result<String, Failure> {
    let mut by_class = BTreeMap::new();
    for (name, vector) in gguf::corpus::corpus()? {
        // `inspect` reads safetensors too, so one made to look like GGUF is none of its refusals.
        let foreign = name.contains("safetensors");
        if vector.want != "Ok" && !foreign {
            let first = by_class.entry(vector.want.clone()).or_insert((name.clone(), None));
            if name <= first.0 {
                *first = (name, Some(vector));
            }
        }
    }
    let folder = tempfile::tempdir()?;
    let mut text = String::new();
    for (class, (name, vector)) in by_class {
        let Some(vector) = vector else { continue };
        std::fs::write(folder.path().join("model.gguf"), &*vector.bytes()?)?;
        let line = worker::run(folder.path(), ["inspect", "model.gguf"])?.refused(3)?;
        if line.lines().count() != 1 || !line.contains(&class) {
            return Err(format!("{name}: not one line that says {class}: {line:?}").into());
        }
        text += &format!("# {name}\n{line}");
    }
    Ok(text)
}
