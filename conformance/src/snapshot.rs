//! Snapshots of text. Text that we author (help, reports, error lines) goes through insta's review
//! under `conformance/snapshots`; text that an oracle recorded, under `golden/`, is only read.

use harness::{Case, Failure, roots};
use std::path::{Path, PathBuf};

/// The first statement of the runner's `main`: insta would otherwise run `cargo metadata` to find
/// the project, and there is no cargo where the suite runs from an archive.
pub fn prepare() {
    if std::env::var_os("INSTA_WORKSPACE_ROOT").is_none() {
        // SAFETY: called first in `main`, while no other thread exists that could read the
        // environment.
        #[allow(unsafe_code)]
        unsafe {
            std::env::set_var("INSTA_WORKSPACE_ROOT", roots::project());
        }
    }
}

/// A case whose `text` must equal the reviewed snapshot. `name` is the full case name; the file is
/// named after it.
pub fn case(
    name: &str,
    text: impl Fn() -> Result<String, Failure> + Send + Sync + 'static,
) -> Case {
    let own_name = name.to_owned();
    Case::new(name, move |_| matches(&own_name, &text()?))
}

/// Compares `text` with the reviewed snapshot of that name, and leaves a `.snap.new` beside it for
/// `cargo insta review` where they differ.
pub fn matches(name: &str, text: &str) -> Result<(), Failure> {
    if std::env::var_os("INSTA_FORCE_PASS").is_some_and(|value| value == "1") {
        return Err("INSTA_FORCE_PASS is set: this check could not fail".into());
    }
    let folder = roots::project().join("conformance/snapshots");
    let file = file_stem(name);
    let reviewed = folder.join(format!("{file}.snap"));
    let compared = compare(&reviewed, text);
    // insta's settings belong to a thread and every case may run on another one: bind them here.
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(&folder);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let asserted = settings.bind(|| {
        // insta panics where texts differ; the difference itself is reported below.
        std::panic::catch_unwind(|| insta::assert_snapshot!(file.as_str(), text))
    });
    match (asserted, compared) {
        (Ok(()), _) => Ok(()),
        (Err(_), Err(difference)) => {
            Err(format!("{difference}\nreview: cargo insta review").into())
        }
        (Err(_), Ok(())) => Err(format!("{}: insta refuses it", reviewed.display()).into()),
    }
}

/// Compares `text` with a snapshot that an oracle recorded. `file` is relative to `golden/`. Never
/// writes, whatever `INSTA_UPDATE` says: an accept button would forge the oracle.
pub fn matches_golden(file: &str, text: &str) -> Result<(), Failure> {
    compare(&roots::project().join("golden").join(file), text).map_err(Failure::from)
}

fn file_stem(name: &str) -> String {
    name.replace("::", ".")
}

fn compare(file: &Path, got: &str) -> Result<(), String> {
    let stored = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let want = body(&stored).ok_or_else(|| format!("{}: no snapshot header", file.display()))?;
    match first_difference(want, got) {
        None => Ok(()),
        Some(difference) => Err(format!("{}: {difference}", file.display())),
    }
}

/// The text below the `---` header of a snapshot file.
pub fn body(stored: &str) -> Option<&str> {
    let rest = stored.strip_prefix("---\n")?;
    match rest.strip_prefix("---\n") {
        Some(body) => Some(body),
        None => rest.split_once("\n---\n").map(|(_, body)| body),
    }
}

/// The first line in which two texts differ, with one line before it, or `None`. A final line break
/// is not a difference, as it is none to insta.
pub fn first_difference(want: &str, got: &str) -> Option<String> {
    let (want, got) = (want.trim_end(), got.trim_end());
    if want == got {
        return None;
    }
    let (want, got): (Vec<&str>, Vec<&str>) = (want.lines().collect(), got.lines().collect());
    let same = want.iter().zip(&got).take_while(|(w, g)| w == g).count();
    let show = |lines: &[&str]| match lines.get(same) {
        Some(line) => format!("{line:?}"),
        None => "end of text".into(),
    };
    let before = match same.checked_sub(1).and_then(|line| want.get(line)) {
        Some(line) => format!("\n  after {line:?}"),
        None => String::new(),
    };
    Some(format!(
        "line {} differs ({} lines wanted, {} found){before}\n  want  {}\n  found {}",
        same + 1,
        want.len(),
        got.len(),
        show(&want),
        show(&got),
    ))
}

/// The files under `conformance/snapshots` that no case named in `used` reads.
pub fn unreferenced(folder: &Path, used: &[String]) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_name().and_then(|name| name.to_str());
        let stem = stem.and_then(|name| name.strip_suffix(".snap"));
        if !used.iter().any(|name| Some(file_stem(name).as_str()) == stem) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
