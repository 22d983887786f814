//! GPT-2's way of writing bytes as printable characters: `Ġ` is a space, `Ċ` a line end. Vocabulary
//! files hold tokens in this form. Knows no vocabulary.

/// Whether GPT-2 writes this byte as the character with the same code.
const fn stands_for_itself(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff)
}

/// The code point that stands for each byte: itself if printable, else the next one from U+0100.
const CHARACTERS: [u16; 256] = {
    let mut characters = [0; 256];
    let (mut byte, mut next) = (0, 0x100);
    while byte < 256 {
        if stands_for_itself(byte as u8) {
            characters[byte] = byte as u16;
        } else {
            characters[byte] = next;
            next += 1;
        }
        byte += 1;
    }
    characters
};

const NO_BYTE: u16 = u16::MAX;

/// The byte for each code point below U+0144, the first that stands for none.
const BYTES: [u16; 0x144] = {
    let mut bytes = [NO_BYTE; 0x144];
    let mut byte = 0;
    while byte < 256 {
        bytes[CHARACTERS[byte] as usize] = byte as u16;
        byte += 1;
    }
    bytes
};

/// The character that stands for a byte.
pub fn character(byte: u8) -> char {
    char::from_u32(u32::from(CHARACTERS[usize::from(byte)])).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Appends the bytes that `token` stands for. A token with a character that stands for no byte is
/// plain text instead, as Hugging Face reads it; then its own bytes are appended.
#[inline]
pub(crate) fn decode_into(token: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(token);
    let written = &mut out[start..];
    let (mut from, mut to) = (0, 0);
    while from < token.len() {
        let (byte, length) = match (token[from], token.get(from + 1)) {
            (low @ 0..=0x7f, _) => (BYTES[usize::from(low)], 1),
            (lead @ 0xc2..=0xc5, Some(tail @ 0x80..=0xbf)) => {
                let code = usize::from(lead & 0x1f) << 6 | usize::from(tail & 0x3f);
                (BYTES.get(code).copied().unwrap_or(NO_BYTE), 2)
            }
            _ => (NO_BYTE, 1),
        };
        if byte == NO_BYTE {
            written.copy_from_slice(token);
            return;
        }
        written[to] = byte as u8;
        (from, to) = (from + length, to + 1);
    }
    out.truncate(start + to);
}

/// Bytes in GPT-2's writing.
pub fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| character(*byte)).collect()
}
