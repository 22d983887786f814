//! Tokens as people read them: each with its id, its text and its job; and what a tokenizer is.
//! Whatever a vocabulary holds is shown in printable characters.

use super::paint::Paint;
use super::tables::bare;
use super::{Output, human};
use crate::error::{Result, shown};
use crate::tokenizer::{Found, Info, TokenType, Tokenizer};
use std::collections::BTreeMap;
use std::path::Path;

/// The text with a colour a token, if colours are on, then a line a token.
pub(super) fn show(
    tokenizer: &Tokenizer,
    ids: &[u32],
    paint: Paint,
    output: &mut Output,
) -> Result<()> {
    if paint.is_on() {
        output.print(flow(tokenizer, ids, paint))?;
    }
    let digits = ids.iter().max().map_or(1, |most| most.to_string().len()).max(5);
    for (place, id) in ids.iter().enumerate() {
        let kind = tokenizer.kind(*id).unwrap_or(TokenType::Normal);
        let text = quoted(tokenizer.piece(*id).unwrap_or_default());
        let text = match kind {
            TokenType::Normal | TokenType::Byte => paint.token(place, &text),
            _ => paint.structure(&text),
        };
        let mut line = format!("{id:>digits$}  {text}");
        if !matches!(kind, TokenType::Normal | TokenType::Byte) {
            line += &paint.aside(&format!("  {}", kind.name()));
        }
        output.print(line)?;
    }
    Ok(())
}

/// One line: how many tokens, and who says so.
pub(super) fn closing(tokenizer: &Tokenizer, path: &Path, count: usize, bytes: usize) -> String {
    let info = tokenizer.info();
    let tokens = if count == 1 { "token" } else { "tokens" };
    let mut line = format!("{count} {tokens}, {}: {}", human::bytes(bytes as u64), kind(info));
    if let Some(name) = path.file_name() {
        line += &format!(" of {}", shown(name.as_encoded_bytes()));
    }
    line
}

/// `gguf-bpe, gpt-4o, 201088 tokens`.
pub(super) fn kind(info: &Info) -> String {
    let pre = info.pre.as_deref().map(|pre| format!(", {}", bare(pre)));
    format!("{}{}, {} tokens", info.backend.name(), pre.unwrap_or_default(), info.n_vocab)
}

/// What `inspect` says of a tokenizer: name and value of each fact.
pub(super) fn facts(found: &Result<Found>) -> Vec<(&'static str, String)> {
    let Found { tokenizer, path } = match found {
        Ok(found) => found,
        Err(error) => {
            let class = error.class().map_or("cannot be read".into(), |class| class.to_string());
            return vec![("tokenizer", format!("refused, {class}"))];
        }
    };
    let info = tokenizer.info();
    let named = |id: u32| format!("{id} {}", shown(tokenizer.piece(id).unwrap_or_default()));
    let special = info.special.iter().map(|(job, id)| format!("{job} {}", named(*id)));
    let special: Vec<String> = special.collect();
    let stops: Vec<String> = info.stops.iter().map(|id| named(*id)).collect();
    let adds = [
        (info.add_bos, "BOS"),
        (info.add_space_prefix, "a space before the text"),
        (info.add_eos, "EOS"),
    ];
    let adds = adds.into_iter().filter(|(yes, _)| *yes).map(|(_, what)| what.to_owned());
    let mut facts = vec![("tokenizer", kind(info))];
    if info.backend.is_json() {
        facts.push(("read from", shown(path.as_os_str().as_encoded_bytes())));
    }
    let lists = [("special tokens", special), ("ends a turn", stops), ("adds", adds.collect())];
    facts.extend(lists.map(|(name, list)| match list.is_empty() {
        true => (name, "nothing".into()),
        false => (name, list.join(", ")),
    }));
    facts
}

/// The same for scripts.
#[derive(serde::Serialize)]
#[serde(untagged)]
pub(super) enum Described<'a> {
    /// It was built.
    Built {
        backend: &'static str,
        pre: Option<&'a str>,
        n_vocab: usize,
        special: BTreeMap<&'static str, u32>,
        stops: &'a [u32],
        add_bos: bool,
        add_eos: bool,
        add_space_prefix: bool,
    },
    /// It was refused.
    Refused { error: String },
}

impl<'a> Described<'a> {
    pub(super) fn of(found: &'a Result<Found>) -> Self {
        let info = match found {
            Ok(found) => found.tokenizer.info(),
            Err(error) => return Described::Refused { error: error.to_string() },
        };
        Described::Built {
            backend: info.backend.name(),
            pre: info.pre.as_deref(),
            n_vocab: info.n_vocab,
            special: info.special.iter().copied().collect(),
            stops: &info.stops,
            add_bos: info.add_bos,
            add_eos: info.add_eos,
            add_space_prefix: info.add_space_prefix,
        }
    }
}

/// The whole text; tokens that are part of one character share its colour.
fn flow(tokenizer: &Tokenizer, ids: &[u32], paint: Paint) -> String {
    let (mut line, mut pending, mut first) = (String::new(), Vec::new(), 0);
    for (place, id) in ids.iter().enumerate() {
        let piece = tokenizer.piece(*id).unwrap_or_default();
        if pending.is_empty() {
            first = place;
            let is_text = |kind| matches!(kind, TokenType::Normal | TokenType::Byte);
            if !tokenizer.kind(*id).is_some_and(is_text) {
                line += &paint.structure(&plain(piece));
                continue;
            }
        }
        pending.extend_from_slice(piece);
        let whole = std::str::from_utf8(&pending).is_ok() || pending.len() >= 8;
        if whole || place + 1 == ids.len() {
            line += &paint.token(first, &plain(&pending));
            pending.clear();
        }
    }
    line
}

/// In double quotes. A mark stands alone there, so it is escaped rather than put on the quote.
fn quoted(bytes: &[u8]) -> String {
    let text = spelled(bytes, |character, text| match character {
        '\'' => text.push(character),
        _ => text.extend(character.escape_debug()),
    });
    format!("\"{text}\"")
}

/// Printable characters as they are, a line end also as a line end, others escaped.
fn plain(bytes: &[u8]) -> String {
    spelled(bytes, |character, text| match character {
        '\'' | '"' | '\\' => text.push(character),
        '\n' => text.push_str("⏎\n"),
        // A mark is escaped only where it has nothing to stand on.
        _ => text.extend(format!("_{character}").escape_debug().skip(1)),
    })
}

fn spelled(bytes: &[u8], one: impl Fn(char, &mut String)) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|character| one(character, &mut text));
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}
