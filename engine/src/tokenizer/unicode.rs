//! What kind of character stands at a byte: one table lookup per character. Knows Unicode's general
//! categories and White_Space (version 16, from regex-syntax), not who splits by them.

use regex_syntax::hir::{Class as HirClass, HirKind};
use std::sync::LazyLock;

/// A set of character kinds. Every character is of exactly one kind, or of none.
pub(crate) type Kind = u16;

/// `[A-Z]`.
pub(crate) const ASCII_UPPER: Kind = 1;
/// `[a-z]`.
pub(crate) const ASCII_LOWER: Kind = 1 << 1;
/// Lu and Lt beyond ASCII.
pub(crate) const FAR_UPPER: Kind = 1 << 2;
/// Ll beyond ASCII.
pub(crate) const FAR_LOWER: Kind = 1 << 3;
/// Lm and Lo: letters without case.
pub(crate) const CASELESS: Kind = 1 << 4;
/// `[\p{Lu}\p{Lt}]`.
pub(crate) const UPPER: Kind = ASCII_UPPER | FAR_UPPER;
/// `\p{Ll}`.
pub(crate) const LOWER: Kind = ASCII_LOWER | FAR_LOWER;
/// `\p{L}`.
pub(crate) const LETTER: Kind = UPPER | LOWER | CASELESS;
/// `\p{M}`.
pub(crate) const MARK: Kind = 1 << 5;
/// `\p{N}`.
pub(crate) const NUMBER: Kind = 1 << 6;
/// White_Space other than line ends.
pub(crate) const BLANK: Kind = 1 << 7;
/// `[\r\n]`.
pub(crate) const NEWLINE: Kind = 1 << 8;
/// `\s`.
pub(crate) const SPACE: Kind = BLANK | NEWLINE;
/// `\p{P}`.
pub(crate) const PUNCTUATION: Kind = 1 << 9;
/// `\p{S}`.
pub(crate) const SYMBOL: Kind = 1 << 10;
/// The place after the last byte: no character, so in no class and in no negated class.
pub(crate) const END: Kind = 1 << 15;

const BLOCK: usize = 256;
const CODE_POINTS: usize = 0x11_0000;

/// Two levels: code point / 256 → block, then the kind inside it. Equal blocks are stored once, so
/// that the whole table (about 130 KiB) is mostly the few blocks that a text touches.
pub(crate) struct Kinds {
    blocks: Vec<u16>,
    kinds: Vec<Kind>,
    /// The first half of the first block, in reach without a bounds check.
    ascii: [Kind; 128],
}

/// The table, built once per process in about a millisecond.
pub(crate) static KINDS: LazyLock<Kinds> = LazyLock::new(Kinds::build);

impl Kinds {
    fn build() -> Self {
        let mut flat = vec![0 as Kind; CODE_POINTS];
        let mut paint = |pattern: &str, kind: Kind| {
            for (first, last) in ranges(pattern) {
                for code in first..=last {
                    flat[code as usize] |= kind;
                }
            }
        };
        paint("[A-Z]", ASCII_UPPER);
        paint("[a-z]", ASCII_LOWER);
        paint(r"[[\p{Lu}\p{Lt}]--[A-Z]]", FAR_UPPER);
        paint(r"[\p{Ll}--[a-z]]", FAR_LOWER);
        paint(r"[\p{Lm}\p{Lo}]", CASELESS);
        paint(r"\p{M}", MARK);
        paint(r"\p{N}", NUMBER);
        paint(r"[\s--[\r\n]]", BLANK);
        paint(r"[\r\n]", NEWLINE);
        paint(r"\p{P}", PUNCTUATION);
        paint(r"\p{S}", SYMBOL);
        let mut unique: Vec<&[Kind]> = Vec::new();
        let mut blocks = Vec::with_capacity(CODE_POINTS / BLOCK);
        for block in flat.chunks(BLOCK) {
            let index = unique.iter().position(|known| *known == block);
            let index = index.unwrap_or_else(|| {
                unique.push(block);
                unique.len() - 1
            });
            blocks.push(index as u16);
        }
        let kinds = unique.concat();
        let mut ascii = [0; 128];
        ascii.copy_from_slice(&flat[..128]);
        Kinds { blocks, kinds, ascii }
    }

    /// The kind of a code point.
    #[inline(always)]
    pub(crate) fn of(&self, code: u32) -> Kind {
        let block = self.blocks[(code >> 8) as usize] as usize;
        self.kinds[block * BLOCK + (code & 0xff) as usize]
    }

    /// The kind of an ASCII character.
    #[inline(always)]
    pub(crate) fn of_ascii(&self, byte: u8) -> Option<Kind> {
        (byte < 0x80).then(|| self.ascii[usize::from(byte)])
    }

    /// The kind of the character at `at` and its length in bytes; `(END, 0)` after the last byte.
    /// A byte that is not part of valid UTF-8 is one character of no kind.
    #[inline(always)]
    pub(crate) fn at(&self, text: &[u8], at: usize) -> (Kind, usize) {
        match text.get(at) {
            None => (END, 0),
            Some(&byte) if byte < 0x80 => (self.ascii[usize::from(byte)], 1),
            Some(_) => match decode(text, at) {
                Some((code, length)) => (self.of(code), length),
                None => (0, 1),
            },
        }
    }
}

/// The code point at `at` and its length, if the bytes there are valid UTF-8.
#[inline]
pub(crate) fn decode(text: &[u8], at: usize) -> Option<(u32, usize)> {
    let tail = |offset: usize| -> Option<u32> {
        let byte = *text.get(at + offset)?;
        (byte & 0xc0 == 0x80).then_some(u32::from(byte & 0x3f))
    };
    let lead = u32::from(*text.get(at)?);
    match lead {
        0x00..=0x7f => Some((lead, 1)),
        0xc2..=0xdf => Some(((lead & 0x1f) << 6 | tail(1)?, 2)),
        0xe0..=0xef => {
            let code = (lead & 0x0f) << 12 | tail(1)? << 6 | tail(2)?;
            (code >= 0x800 && !(0xd800..0xe000).contains(&code)).then_some((code, 3))
        }
        0xf0..=0xf4 => {
            let code = (lead & 0x07) << 18 | tail(1)? << 12 | tail(2)? << 6 | tail(3)?;
            (0x1_0000..0x11_0000).contains(&code).then_some((code, 4))
        }
        _ => None,
    }
}

/// The code point ranges of a character class. An unreadable pattern has none; the patterns are
/// constants of this crate, and the scanner cases compare each of them with a regex engine.
pub(crate) fn ranges(pattern: &str) -> Vec<(u32, u32)> {
    let Ok(hir) = regex_syntax::parse(pattern) else {
        return Vec::new();
    };
    match hir.kind() {
        HirKind::Class(HirClass::Unicode(class)) => {
            class.iter().map(|range| (range.start() as u32, range.end() as u32)).collect()
        }
        HirKind::Class(HirClass::Bytes(class)) => {
            class.iter().map(|range| (u32::from(range.start()), u32::from(range.end()))).collect()
        }
        HirKind::Literal(literal) => {
            decode(&literal.0, 0).map(|(code, _)| (code, code)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}
