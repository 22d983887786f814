//! Blanks out comments and literals of Rust and C-like text, so that rules about code do not trip
//! over words in strings. Keeps every line where it is. Knows tokens, not grammar.

/// `text` with the contents of comments, strings and character literals replaced by spaces.
pub(super) fn mask(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match literal_end(bytes, at) {
            Some(end) => end.min(bytes.len()),
            None => {
                at += 1;
                continue;
            }
        };
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    String::from_utf8(out).unwrap_or_default()
}

/// Where the comment or literal that starts at `at` ends; `None` if none starts there.
fn literal_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    let in_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    match rest {
        [b'/', b'/', ..] => Some(at + line_length(rest)),
        [b'/', b'*', ..] => Some(at + block_comment_length(rest)),
        [b'r', b'"' | b'#', ..] if !in_word => raw_string_length(rest, 1).map(|len| at + len),
        [b'b' | b'c', b'r', b'"' | b'#', ..] if !in_word => {
            raw_string_length(rest, 2).map(|len| at + len)
        }
        [b'"', ..] => Some(at + quoted_length(rest, b'"')),
        [b'\'', b'\\', ..] => Some(at + quoted_length(rest, b'\'')),
        [b'\'', ..] => char_length(rest).map(|len| at + len),
        _ => None,
    }
}

fn line_length(rest: &[u8]) -> usize {
    rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len())
}

fn block_comment_length(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn raw_string_length(rest: &[u8], prefix: usize) -> Option<usize> {
    let hashes = rest[prefix..].iter().take_while(|b| **b == b'#').count();
    let open = prefix + hashes;
    if rest.get(open) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(1 + hashes, b'#');
    let body = &rest[open + 1..];
    let found = body.windows(close.len()).position(|w| w == close);
    Some(found.map_or(rest.len(), |end| open + 1 + end + close.len()))
}

fn quoted_length(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// `'x'` is a literal, `'a` in `&'a str` a lifetime: the closing quote after one character tells.
fn char_length(rest: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(&rest[1..rest.len().min(6)]);
    let head = match text {
        Ok(text) => text,
        Err(e) => std::str::from_utf8(&rest[1..1 + e.valid_up_to()]).unwrap_or(""),
    };
    let width = head.chars().next()?.len_utf8();
    (rest.get(1 + width) == Some(&b'\'')).then_some(2 + width)
}
