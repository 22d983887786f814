//! The hand-written scanner behind most pre-tokenisers: one function, parametrised by a `Shape`,
//! does what the makers wrote as a regular expression with seven alternatives. Every position is
//! visited a bounded number of times, so a text of one class costs what any other text costs.

use crate::tokenizer::unicode::{
    ASCII_LOWER, CASELESS, END, FAR_LOWER, FAR_UPPER, KINDS, Kind, Kinds, LETTER, LOWER, MARK,
    NEWLINE, NUMBER, SPACE, UPPER,
};

/// Where English contractions (`'s 't 're 've 'm 'll 'd`) are cut, and in which case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contraction {
    /// Nowhere.
    None,
    /// A piece of their own, lower case only.
    PieceExact,
    /// A piece of their own, `[A-Za-z]`.
    PieceAscii,
    /// A piece of their own, `(?i:…)`, where `ſ` (U+017F) folds to `s`.
    PieceFolded,
    /// The end of a word, `[A-Za-z]`.
    SuffixAscii,
    /// The end of a word, `(?i:…)`.
    SuffixFolded,
}

/// What one word of letters is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// A run of one class.
    Run(Kind),
    /// `[upper]*[lower]+`, else `[upper]+[lower]*`.
    Cased(Kind, Kind),
}

/// What may follow a run of punctuation in the same piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Nothing.
    None,
    /// `[\r\n]*`
    Newlines,
    /// `[\r\n/]*`
    NewlinesSlashes,
}

/// The parameters of a scanner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// See [`Contraction`].
    pub contraction: Contraction,
    /// Whether any character but `[\r\n\p{L}\p{N}]` may lead a word, or only a space.
    pub any_lead: bool,
    /// See [`Word`].
    pub word: Word,
    /// Numbers per piece at most.
    pub digits: usize,
    /// Whether a space may lead a run of numbers.
    pub space_leads_digits: bool,
    /// What a run of punctuation excludes.
    pub not_other: Kind,
    /// See [`Tail`].
    pub tail: Tail,
    /// Whether white space up to its last line end is a piece: `\s*[\r\n]+`.
    pub newlines: bool,
}

/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
pub(crate) const GPT2: Shape = Shape {
    contraction: Contraction::PieceExact,
    any_lead: false,
    word: Word::Run(LETTER),
    digits: usize::MAX,
    space_leads_digits: true,
    not_other: SPACE | LETTER | NUMBER | END,
    tail: Tail::None,
    newlines: false,
};

/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|`
/// `\s*[\r\n]+|\s+(?!\S)|\s+`
pub(crate) const LLAMA3: Shape = Shape {
    contraction: Contraction::PieceFolded,
    any_lead: true,
    word: Word::Run(LETTER),
    digits: 3,
    space_leads_digits: false,
    not_other: SPACE | LETTER | NUMBER | END,
    tail: Tail::Newlines,
    newlines: true,
};

/// Like [`LLAMA3`] with one number per piece.
pub(crate) const QWEN2: Shape = Shape { digits: 1, ..LLAMA3 };

/// Like [`QWEN2`] with combining marks in words: `[\p{L}\p{M}]+`, and out of punctuation.
pub(crate) const QWEN35: Shape = Shape {
    word: Word::Run(LETTER | MARK),
    not_other: SPACE | LETTER | MARK | NUMBER | END,
    ..QWEN2
};

/// Words of o200k: `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+`
/// `(?i:'s|…)?`, else the same with `+` and `*` swapped; then `\p{N}{1,3}`,
/// ` ?[^\s\p{L}\p{N}]+[\r\n/]*` and the white space of [`LLAMA3`].
pub(crate) const O200K: Shape = Shape {
    contraction: Contraction::SuffixFolded,
    word: Word::Cased(UPPER | CASELESS | MARK, LOWER | CASELESS | MARK),
    tail: Tail::NewlinesSlashes,
    ..LLAMA3
};

/// llama.cpp's o200k: `((?=[\p{L}])([^a-z]))*((?=[\p{L}])([^A-Z]))+`, so only ASCII has case and a
/// combining mark ends a word (`llama-vocab.cpp`, pre-type GPT4O).
pub(crate) const O200K_LLAMA_CPP: Shape = Shape {
    contraction: Contraction::SuffixAscii,
    word: Word::Cased(LETTER & !ASCII_LOWER, ASCII_LOWER | FAR_UPPER | FAR_LOWER | CASELESS),
    ..O200K
};

/// The same scanner with contractions in ASCII only, as llama.cpp writes them.
pub(crate) const fn ascii_contractions(shape: Shape) -> Shape {
    let contraction = match shape.contraction {
        Contraction::PieceFolded => Contraction::PieceAscii,
        Contraction::SuffixFolded => Contraction::SuffixAscii,
        other => other,
    };
    Shape { contraction, ..shape }
}

impl Shape {
    /// The end of the piece that starts at `at`, which is a place before the end of `text`.
    #[inline(always)]
    pub(crate) fn next(&self, text: &[u8], at: usize) -> usize {
        self.next_of(&KINDS, text, at)
    }

    /// The same with the table in hand, for loops.
    #[inline(always)]
    pub(crate) fn next_of(&self, kinds: &Kinds, text: &[u8], at: usize) -> usize {
        let byte = text[at];
        if let Some(end) = self.plain_word(kinds, text, at) {
            return end;
        }
        let (kind, length) = kinds.at(text, at);
        let after = at + length;
        if byte == b'\'' && self.contracts_as_piece() {
            let end = self.contraction_end(text, at);
            if end > at {
                return end;
            }
        }
        let leads = match self.any_lead {
            true => kind & (NEWLINE | LETTER | NUMBER) == 0,
            false => byte == b' ',
        };
        match self.word {
            _ if no_word(kinds, kind, text, after) => {}
            Word::Run(letters) => {
                if kind & letters != 0 {
                    return run(kinds, text, after, letters);
                }
                let (next, next_length) = kinds.at(text, after);
                if leads && next & letters != 0 {
                    return run(kinds, text, after + next_length, letters);
                }
            }
            Word::Cased(upper, lower) => {
                let starts = kind & (upper | lower) != 0;
                let end = cased(kinds, text, [(leads, after), (starts, at)], upper, lower);
                if end > at {
                    return match self.contracts_as_suffix() {
                        true => self.contraction_end(text, end),
                        false => end,
                    };
                }
            }
        }
        let body = if byte == b' ' { after } else { at };
        if kind & NUMBER != 0 {
            return self.digits_end(kinds, text, after);
        }
        if self.space_leads_digits && body > at && kinds.at(text, body).0 & NUMBER != 0 {
            return self.digits_end(kinds, text, body);
        }
        let end = run_without(kinds, text, body, self.not_other);
        if end > body {
            return self.tail_end(text, end);
        }
        self.space_end(kinds, text, at)
    }

    /// The end of a word as most are: what may lead it, then ASCII letters of which at most the
    /// first is a capital, all of them and what follows a few bytes before the end of the text. It
    /// takes eight bytes at a time, because a loop over letters ends where no processor expects.
    #[inline(always)]
    fn plain_word(&self, kinds: &Kinds, text: &[u8], at: usize) -> Option<usize> {
        let kind = kinds.of_ascii(text[at])?;
        let leads = match self.any_lead {
            true => kind & (NEWLINE | LETTER | NUMBER) == 0,
            false => text[at] == b' ',
        };
        if leads && text[at] == b'\'' && self.contracts_as_piece() {
            return None;
        }
        let first = at + usize::from(leads);
        let letter = *text.get(first)?;
        if !letter.is_ascii_alphabetic() {
            return None;
        }
        let cased = matches!(self.word, Word::Cased(..));
        let mut end = first + 1;
        loop {
            let window = u64::from_le_bytes(*text.get(end..)?.first_chunk()?);
            let count = if cased { lower_run(window) } else { letter_run(window) };
            end += count;
            if count < 8 {
                break;
            }
        }
        let after = *text.get(end)?;
        let is_whole = match cased {
            // A capital alone may go on with capitals.
            true => {
                (end > first + 1 || letter.is_ascii_lowercase())
                    && !(after == b'\'' && self.contracts_as_suffix())
            }
            false => true,
        };
        (is_whole && after < 0x80).then_some(end)
    }

    fn contracts_as_piece(&self) -> bool {
        use Contraction::{PieceAscii, PieceExact, PieceFolded};
        matches!(self.contraction, PieceExact | PieceAscii | PieceFolded)
    }

    fn contracts_as_suffix(&self) -> bool {
        use Contraction::{SuffixAscii, SuffixFolded};
        matches!(self.contraction, SuffixAscii | SuffixFolded)
    }

    /// The end of the contraction at `at`, or `at` if there is none.
    #[inline]
    fn contraction_end(&self, text: &[u8], at: usize) -> usize {
        if text.get(at) != Some(&b'\'') {
            return at;
        }
        let any_case = self.contraction != Contraction::PieceExact;
        let letter = |offset: usize| match text.get(at + offset) {
            Some(&byte) if any_case => byte.to_ascii_lowercase(),
            Some(&byte) => byte,
            None => 0,
        };
        match (letter(1), letter(2)) {
            (b's' | b't' | b'm' | b'd', _) => at + 2,
            (b'r' | b'v', b'e') | (b'l', b'l') => at + 3,
            (0xc5, 0xbf) if self.folds() => at + 3,
            _ => at,
        }
    }

    fn folds(&self) -> bool {
        use Contraction::{PieceFolded, SuffixFolded};
        matches!(self.contraction, PieceFolded | SuffixFolded)
    }

    /// The end of a run of numbers whose first ends at `after`, at most `digits` long.
    #[inline]
    fn digits_end(&self, kinds: &Kinds, text: &[u8], after: usize) -> usize {
        let (mut end, mut count) = (after, 1);
        while count < self.digits {
            let (kind, length) = kinds.at(text, end);
            if kind & NUMBER == 0 {
                break;
            }
            end += length;
            count += 1;
        }
        end
    }

    #[inline]
    fn tail_end(&self, text: &[u8], from: usize) -> usize {
        let slash = match self.tail {
            Tail::None => return from,
            Tail::Newlines => b'\n',
            Tail::NewlinesSlashes => b'/',
        };
        let rest = &text[from..];
        let tail = rest.iter().take_while(|&&b| b == b'\r' || b == b'\n' || b == slash);
        from + tail.count()
    }

    /// White space: up to its last line end if that is a piece; else all of it at the end of the
    /// text; else all but its last character, which leads what follows.
    #[inline]
    pub(super) fn space_end(&self, kinds: &Kinds, text: &[u8], at: usize) -> usize {
        let (mut end, mut last, mut line_end) = (at, at, None);
        loop {
            let (kind, length) = kinds.at(text, end);
            if kind & SPACE == 0 {
                break;
            }
            last = end;
            end += length;
            if kind & NEWLINE != 0 {
                line_end = Some(end);
            }
        }
        match line_end {
            Some(line_end) if self.newlines => line_end,
            _ if end == text.len() || last == at => end,
            _ => last,
        }
    }
}

/// Whether no word begins with a character of `kind` that ends before `after`: it is ASCII and no
/// letter, and so is the next one. Most pieces that are no words are known by this.
#[inline(always)]
fn no_word(kinds: &Kinds, kind: Kind, text: &[u8], after: usize) -> bool {
    const IN_WORDS: Kind = LETTER | MARK;
    let next = text.get(after).and_then(|byte| kinds.of_ascii(*byte));
    kind & IN_WORDS == 0 && next.is_some_and(|next| next & IN_WORDS == 0)
}

/// How many bytes of a little-endian word are `[a-z]`, up to the first that is not.
#[inline(always)]
fn lower_run(window: u64) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let low = window & (EACH * 0x7f);
    // The upper bit of a byte tells whether it is at least 'a', and whether it is above 'z'.
    let (from_a, above_z) = (low + EACH * (0x80 - 0x61), low + EACH * (0x80 - 0x7b));
    let others = !(from_a & !above_z & !window) & (EACH * 0x80);
    (others.trailing_zeros() / 8) as usize
}

/// The same for `[A-Za-z]`.
#[inline(always)]
fn letter_run(window: u64) -> usize {
    lower_run(window | 0x2020_2020_2020_2020)
}

/// The end of the run of `class` at `at`.
#[inline(always)]
pub(crate) fn run(kinds: &Kinds, text: &[u8], mut at: usize, class: Kind) -> usize {
    loop {
        let (kind, length) = kinds.at(text, at);
        if kind & class == 0 {
            return at;
        }
        at += length;
    }
}

/// The end of the run of characters that are not of `class`; `class` must contain `END`.
#[inline(always)]
fn run_without(kinds: &Kinds, text: &[u8], mut at: usize, class: Kind) -> usize {
    loop {
        let (kind, length) = kinds.at(text, at);
        if kind & class != 0 {
            return at;
        }
        at += length;
    }
}

/// The end of a word in two cases, or 0. `starts` are the places where it may start, in the order
/// in which a backtracking engine would try them.
#[inline(always)]
fn cased(
    kinds: &Kinds,
    text: &[u8],
    starts: [(bool, usize); 2],
    upper: Kind,
    lower: Kind,
) -> usize {
    let mut upper_end = [0; 2];
    for (index, (possible, start)) in starts.into_iter().enumerate() {
        if !possible {
            continue;
        }
        // `[upper]*` takes all it can, then gives back until `[lower]+` can take one character.
        let (mut end, mut both_end) = (start, 0);
        let (mut kind, mut length) = kinds.at(text, end);
        while kind & upper != 0 {
            end += length;
            if kind & lower != 0 {
                both_end = end;
            }
            (kind, length) = kinds.at(text, end);
        }
        if kind & lower != 0 {
            return run(kinds, text, end + length, lower);
        }
        if both_end > 0 {
            return both_end;
        }
        if end > start {
            upper_end[index] = end;
        }
    }
    // `[upper]+[lower]*`: had a lower character followed, the first alternative had matched.
    match upper_end {
        [0, end] => end,
        [end, _] => end,
    }
}
