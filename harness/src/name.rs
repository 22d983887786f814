//! What a case's name may look like, and patterns over names. Knows nothing of what names mean.

/// Whether `name` is fit for a command line, a results file and nextest: two or more segments of
/// letters, digits, `-`, `_`, `.`, joined by `::`.
pub fn check(name: &str) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("case name {name:?}: {what}"));
    if !name.contains("::") {
        return wrong("needs a suite and a name, `suite::name`");
    }
    for segment in name.split("::") {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if segment.is_empty() {
            return wrong("a segment is empty");
        }
        if let Some(odd) = segment.chars().find(|c| !plain(*c)) {
            return wrong(&format!("{odd:?} is not a letter, a digit, '-', '_' or '.'"));
        }
    }
    Ok(())
}

/// Whether `name` fits `pattern`, where `*` stands for any characters of one segment and `**` for
/// any characters at all.
pub fn matches(pattern: &str, name: &str) -> bool {
    if let Some(rest) = pattern.strip_prefix("**") {
        return ends_of(name).any(|end| matches(rest, end));
    }
    if let Some(rest) = pattern.strip_prefix('*') {
        let segment = name.find(':').unwrap_or(name.len());
        return ends_of(name)
            .take_while(|end| name.len() - end.len() <= segment)
            .any(|end| matches(rest, end));
    }
    let mut wanted = pattern.chars();
    match wanted.next() {
        None => name.is_empty(),
        Some(first) => name.strip_prefix(first).is_some_and(|rest| matches(wanted.as_str(), rest)),
    }
}

/// `name`, `name` without its first character, … and the empty end.
fn ends_of(name: &str) -> impl Iterator<Item = &str> {
    name.char_indices().map(|(at, _)| &name[at..]).chain([""])
}
