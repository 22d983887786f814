//! Short texts as numbers: sixteen bytes are read at once and what is too much is masked away, so
//! that comparing, hashing and copying do not depend on how long a text is. Knows no vocabulary.

/// A short text has at most so many bytes.
pub(super) const SHORT: usize = 15;

/// What stands for a text that is not short; no text that has bytes is this number.
pub(super) const NOT_SHORT: u128 = 0;

/// The text `text[start..start + length]` as a number that no other text has: its bytes, and how
/// many they are in the last one.
#[inline(always)]
pub(super) fn short(text: &[u8], start: usize, length: usize) -> u128 {
    match length <= SHORT {
        true => bytes_at(text, start, length) | marked(length),
        false => NOT_SHORT,
    }
}

/// Two short texts, or what stands for them, as one.
#[inline(always)]
pub(super) fn joined(left: u128, right: u128) -> u128 {
    let (left_length, right_length) = (length(left), length(right));
    let both = left_length + right_length;
    if left == NOT_SHORT || right == NOT_SHORT || both > SHORT {
        return NOT_SHORT;
    }
    (left & FIRST[SHORT]) | (right & FIRST[SHORT]) << (8 * left_length) | marked(both)
}

/// Where `byte` stands among the first `length` bytes of `text`, but for the very first: if it does
/// exactly once, and they are short enough to be looked at together.
#[inline(always)]
pub(super) fn only(text: &[u8], length: usize, byte: u8) -> Option<usize> {
    const ONES: u128 = u128::MAX / 0xff;
    if length > SHORT + 1 {
        return None;
    }
    let differing = bytes_at(text, 0, length) ^ (ONES * u128::from(byte));
    let low = ONES * 0x7f;
    // The highest bit of a byte is set where the byte differs; no carry reaches the next one.
    let highest = (((differing & low) + low) | differing) & (ONES * 0x80);
    let found = (highest ^ (ONES * 0x80)) & FIRST[length] & !0xff;
    (found.count_ones() == 1).then(|| found.trailing_zeros() as usize / 8)
}

fn length(short: u128) -> usize {
    (short >> 120) as usize
}

fn marked(length: usize) -> u128 {
    (length as u128) << 120
}

/// The first `length` of the sixteen bytes from `at` on.
#[inline(always)]
pub(super) fn bytes_at(text: &[u8], at: usize, length: usize) -> u128 {
    let mut bytes = [0; 16];
    match text.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
        Some(window) => bytes = *window,
        None => bytes[..length].copy_from_slice(&text[at..at + length]),
    }
    u128::from_le_bytes(bytes) & FIRST[length]
}

/// All bits of the first bytes, by their number: a shift of 128 bits would be a dozen instructions.
const FIRST: [u128; 17] = {
    let mut masks = [u128::MAX; 17];
    let mut length = 0;
    while length < 16 {
        masks[length] = (1 << (8 * length)) - 1;
        length += 1;
    }
    masks
};
