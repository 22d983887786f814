//! What happens to a text before it is cut: Unicode composition where the model's maker applies it,
//! and replacement of bytes that are no UTF-8 where the vocabulary or llama.cpp wants that.

use std::borrow::Cow;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// NFC of the valid UTF-8 in `text`; other bytes stay as they are.
pub(crate) fn compose(text: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if text.is_ascii() {
        return text;
    }
    let composed = |chunk: &str| is_nfc_quick(chunk.chars()) == IsNormalized::Yes;
    if text.utf8_chunks().all(|chunk| composed(chunk.valid())) {
        return text;
    }
    let mut out = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        out.extend(chunk.valid().nfc().collect::<String>().into_bytes());
        out.extend_from_slice(chunk.invalid());
    }
    Cow::Owned(out)
}

/// Each byte that is not part of valid UTF-8 becomes U+FFFD, as in llama.cpp.
pub(crate) fn replace_invalid(text: &[u8]) -> Cow<'_, [u8]> {
    if std::str::from_utf8(text).is_ok() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len() * 2);
    for chunk in text.utf8_chunks() {
        out.extend_from_slice(chunk.valid().as_bytes());
        for _ in chunk.invalid() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    Cow::Owned(out)
}
