//! Guesses what a file is that should have been a GGUF file, from its first bytes.

/// How a foreign file begins, and what to tell its owner.
const SIGNATURES: &[(&[u8], &str)] = &[
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself: run `git lfs pull`"),
    (b"FUGG", "a big-endian GGUF file: convert it to little-endian"),
    (b"lmgg", "an old ggml file (before GGUF): convert the model again"),
    (b"fmgg", "an old ggmf file (before GGUF): convert the model again"),
    (b"tjgg", "an old ggjt file (before GGUF): convert the model again"),
    (b"algg", "an old ggla adapter (before GGUF): convert it again"),
    (b"\x1f\x8b", "a gzip archive: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive: unpack it first"),
    (b"BZh", "a bzip2 archive: unpack it first"),
    (b"\xfd7zXZ\0", "an xz archive: unpack it first"),
    (b"PK\x03\x04", "a ZIP archive or a PyTorch checkpoint: convert it to GGUF"),
    (b"\x80\x02", "a pickled PyTorch checkpoint: convert it to GGUF"),
    (b"\x80\x03", "a pickled PyTorch checkpoint: convert it to GGUF"),
    (b"\x80\x04", "a pickled PyTorch checkpoint: convert it to GGUF"),
    (b"\x7fELF", "a program (ELF), not a model"),
    (b"\x89HDF", "an HDF5 file: convert it to GGUF"),
];

/// What the file seems to be, as the end of a sentence; empty when nothing fits.
pub(super) fn hint(bytes: &[u8]) -> String {
    match kind(bytes) {
        Some(kind) => format!("; it looks like {kind}"),
        None => String::new(),
    }
}

fn kind(bytes: &[u8]) -> Option<&'static str> {
    if bytes.is_empty() {
        return Some("an empty file: was the download interrupted?");
    }
    if let Some((_, kind)) = SIGNATURES.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Some(kind);
    }
    if is_safetensors(bytes) {
        return Some("a safetensors file: convert it to GGUF");
    }
    let text = &bytes[..bytes.len().min(512)];
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start();
    let lower = text.to_ascii_lowercase();
    match text.first() {
        Some(b'<') if lower.starts_with(b"<?xml") => Some("an XML document, not a model"),
        Some(b'<') => Some("an HTML page: the download saved an error or a login page"),
        Some(b'{') => Some("a JSON document: the download saved an error message"),
        None => Some("blank text"),
        _ if bytes.iter().take(4096).all(|byte| *byte == 0) => {
            Some("an unfinished download: it begins with zeros")
        }
        _ if is_text(text) => Some("plain text: a model is a GGUF file"),
        _ => None,
    }
}

/// Letters and what stands between them; the last character may be cut.
fn is_text(bytes: &[u8]) -> bool {
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    // A word or two may be anything.
    valid.len() >= 8 && !valid.contains(|c: char| c.is_control() && !c.is_whitespace())
}

/// A safetensors file begins with the length of its header, and the header is a JSON object.
fn is_safetensors(bytes: &[u8]) -> bool {
    bytes.len() > 8 && bytes[8] == b'{' && bytes[5..8] == [0, 0, 0]
}
