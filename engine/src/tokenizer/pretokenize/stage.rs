//! One step of a pre-tokeniser: finds the next piece in a fragment. What lies between two pieces
//! stays together as a fragment for the next step. Knows no vocabulary.

use super::scan::{Shape, run};
use crate::tokenizer::unicode::{
    self, ASCII_LOWER, ASCII_UPPER, KINDS, LETTER, MARK, NEWLINE, NUMBER, PUNCTUATION, SPACE,
    SYMBOL,
};
use std::sync::LazyLock;

/// A step. The pieces it finds are isolated: later steps look into each of them alone.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stage {
    /// A [`Shape`]; it leaves nothing between its pieces.
    Shape(Shape),
    /// `\p{N}{1,n}`
    Digits(usize),
    /// `[0-9][0-9][0-9]`
    AsciiTriple,
    /// A run of the bytes whose GPT-2 characters are numbers: `[0-9²³¹¼½¾]+`. The cut may fall
    /// inside a character: `м` is D0 BC, and BC is written `¼`.
    MappedDigits,
    /// `[\p{P}$+<=>^~|]+`, with or without the backtick.
    Punctuation {
        /// Whether the backtick counts too.
        backtick: bool,
    },
    /// `[\r\n]`
    LineEnd,
    /// `\s?[class]+`
    Spaced(&'static LazyLock<CharSet>),
    /// `[class]+`
    Run(&'static LazyLock<CharSet>),
    /// `\s+$`
    TrailingSpace,
    /// `[!-/:-@\[-\x60{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|`
    /// `\s*[\r\n]+|\s+(?!\S)|\s+`
    DeepSeek3,
}

/// A set of code points given by ranges; ASCII is one bit test.
#[derive(Debug)]
pub(crate) struct CharSet {
    ascii: u128,
    ranges: Vec<(u32, u32)>,
}

impl CharSet {
    /// The set of a character class in regex notation.
    pub(crate) fn new(pattern: &str) -> Self {
        let ranges = unicode::ranges(pattern);
        let mut ascii = 0;
        for code in 0..128 {
            if ranges.iter().any(|(first, last)| (*first..=*last).contains(&code)) {
                ascii |= 1 << code;
            }
        }
        CharSet { ascii, ranges }
    }

    fn has(&self, code: u32) -> bool {
        if code < 128 {
            return self.ascii >> code & 1 == 1;
        }
        let index = self.ranges.partition_point(|(_, last)| *last < code);
        matches!(self.ranges.get(index), Some((first, _)) if *first <= code)
    }

    /// The end of the run of this set at `at`.
    fn run(&self, text: &[u8], mut at: usize) -> usize {
        while let Some((code, length)) = unicode::decode(text, at) {
            if !self.has(code) {
                break;
            }
            at += length;
        }
        at
    }
}

impl Stage {
    /// The first piece at or after `from`.
    pub(crate) fn find(&self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        if from >= text.len() {
            return None;
        }
        if let Stage::Shape(shape) = self {
            return Some((from, shape.next(text, from)));
        }
        let mut at = from;
        while at < text.len() {
            let end = self.piece_end(text, at);
            if end > at {
                return Some((at, end));
            }
            at += self.step(text, at);
        }
        None
    }

    /// How far to go on where no piece starts. White space that is not trailing is left at once,
    /// else each of its characters would look at all the rest again.
    fn step(&self, text: &[u8], at: usize) -> usize {
        let length = KINDS.at(text, at).1;
        match self {
            Stage::TrailingSpace => (run(&KINDS, text, at, SPACE) - at).max(length),
            Stage::MappedDigits => 1,
            _ => length,
        }
    }

    /// The end of the piece that starts at `at`, or `at` if none starts there.
    fn piece_end(&self, text: &[u8], at: usize) -> usize {
        match self {
            Stage::Shape(shape) => shape.next(text, at),
            Stage::Digits(most) => digits_end(text, at, *most),
            Stage::AsciiTriple => match text.get(at..at + 3) {
                Some(three) if three.iter().all(u8::is_ascii_digit) => at + 3,
                _ => at,
            },
            Stage::MappedDigits => {
                let digits = text[at..].iter().take_while(|byte| is_mapped_digit(**byte));
                at + digits.count()
            }
            Stage::Punctuation { backtick } => punctuation_end(text, at, *backtick),
            Stage::LineEnd => at + usize::from(matches!(text[at], b'\r' | b'\n')),
            Stage::Spaced(set) => {
                let (kind, length) = KINDS.at(text, at);
                let spaced = if kind & SPACE != 0 { at + length } else { at };
                match set.run(text, spaced) {
                    end if end > spaced => end,
                    // The space may itself be of the class, as U+3000 is.
                    _ => set.run(text, at),
                }
            }
            Stage::Run(set) => set.run(text, at),
            Stage::TrailingSpace => match run(&KINDS, text, at, SPACE) {
                end if end == text.len() => end,
                _ => at,
            },
            Stage::DeepSeek3 => deepseek3_end(text, at),
        }
    }
}

fn digits_end(text: &[u8], at: usize, most: usize) -> usize {
    let mut end = at;
    for _ in 0..most {
        let (kind, length) = KINDS.at(text, end);
        if kind & NUMBER == 0 {
            break;
        }
        end += length;
    }
    end
}

/// Whether the GPT-2 character of this byte is a number to Unicode: 0-9, and B2 B3 B9 BC BD BE,
/// which stand for themselves as `² ³ ¹ ¼ ½ ¾`.
fn is_mapped_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | 0xb2 | 0xb3 | 0xb9 | 0xbc..=0xbe)
}

fn punctuation_end(text: &[u8], at: usize, backtick: bool) -> usize {
    let mut end = at;
    loop {
        let (kind, length) = KINDS.at(text, end);
        let ascii_symbol = kind & SYMBOL != 0 && text[end] < 0x80;
        let counts = ascii_symbol && (backtick || text[end] != b'`');
        if kind & PUNCTUATION == 0 && !counts {
            return end;
        }
        end += length;
    }
}

fn deepseek3_end(text: &[u8], at: usize) -> usize {
    let kinds = &*KINDS;
    let (kind, length) = kinds.at(text, at);
    let after = at + length;
    let (next, next_length) = kinds.at(text, after);
    let word = LETTER | MARK;
    if text[at].is_ascii_punctuation() && next & (ASCII_LOWER | ASCII_UPPER) != 0 {
        return run(kinds, text, after, ASCII_LOWER | ASCII_UPPER);
    }
    if kind & word != 0 {
        return run(kinds, text, after, word);
    }
    if kind & (NEWLINE | PUNCTUATION | SYMBOL) == 0 && next & word != 0 {
        return run(kinds, text, after + next_length, word);
    }
    let body = if text[at] == b' ' { after } else { at };
    let end = run(kinds, text, body, PUNCTUATION | SYMBOL);
    if end > body {
        return run(kinds, text, end, NEWLINE);
    }
    match kind & SPACE {
        0 => at,
        _ => super::scan::LLAMA3.space_end(kinds, text, at),
    }
}
