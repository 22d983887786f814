//! A text that repeats its words as real ones do, and no passage: paragraphs in several scripts and
//! code in several languages, of the hundred thousand words that o200k was trained to know and half
//! as many invented ones, which it was not. Prose draws words by the two regimes of Zipf's law; a
//! piece of code draws most of its names from a few of its own. What o200k's pre-tokeniser makes of
//! it, beside WikiText-2 (test and valid) and beside Rust sources from a registry:
//!
//! |                                   | here   | WikiText-2 | sources |
//! |-----------------------------------|--------|------------|---------|
//! | bytes a piece                     | 3.8    | 4.4        | 4.3     |
//! | distinct pieces in 2.3 MB         | 39,000 | 18,000     | 15,000  |
//! | the 1000 most frequent make up    | 77 %   | 79 %       | 81 %    |
//! | the 10,000 most frequent make up  | 93 %   | 98 %       | 99 %    |
//!
//! So it is harder than either: it has more scripts, and WikiText-2 has its rarest words taken out.
//! The same on every machine.

use crate::corpus::{self, Rng};
use tiktoken_rs::CoreBPE;

/// Words by script, the most frequent first.
pub(super) struct Lexicon {
    latin: Vec<String>,
    cyrillic: Vec<String>,
    han_kana: Vec<String>,
    others: Vec<String>,
}

/// The letters of the shortest words outside Han, but for English ones.
const SHORTEST: usize = 3;
/// The learned tokens of o200k end here.
const LEARNED: u32 = 199_998;

impl Lexicon {
    /// The words among the tokens of o200k, behind the most frequent English ones. Their order is
    /// that of the merges, which is nearly that of their frequency.
    pub(super) fn of(o200k: &CoreBPE) -> Lexicon {
        let mut lexicon = Lexicon {
            latin: corpus::words().map(str::to_owned).collect(),
            cyrillic: Vec::new(),
            han_kana: Vec::new(),
            others: Vec::new(),
        };
        for id in 0..LEARNED {
            let token = o200k.decode_bytes(&[id]).unwrap_or_default();
            let Ok(text) = String::from_utf8(token) else { continue };
            let spaced = text.strip_prefix(' ');
            let word = spaced.unwrap_or(&text);
            let Some(first) = word.chars().next().filter(|_| word.chars().all(char::is_alphabetic))
            else {
                continue;
            };
            let script = match u32::from(first) {
                0x3040..=0x9fff => &mut lexicon.han_kana,
                // Where words are long, these are beginnings of words.
                _ if word.chars().count() < SHORTEST => continue,
                // Where words have spaces between them, one without is part of a word.
                _ if spaced.is_none() => continue,
                0..=0x24f => &mut lexicon.latin,
                0x400..=0x52f => &mut lexicon.cyrillic,
                _ => &mut lexicon.others,
            };
            script.push(word.to_owned());
        }
        for script in lexicon.scripts() {
            with_inventions(script);
        }
        lexicon
    }

    fn scripts(&mut self) -> [&mut Vec<String>; 4] {
        [&mut self.latin, &mut self.cyrillic, &mut self.han_kana, &mut self.others]
    }
}

/// So many of the most frequent words are all known.
const ALL_KNOWN: usize = 1000;

/// After every second known word comes one that begins like one known word and ends like another:
/// a name, a compound, a slip of the pen.
fn with_inventions(words: &mut Vec<String>) {
    let known = std::mem::take(words);
    let mut rng = Rng(known.len() as u64);
    let half = |word: &str, first: bool| -> String {
        let middle = word.chars().count().div_ceil(2);
        let (begin, end) = if first { (0, middle) } else { (middle, usize::MAX) };
        word.chars()
            .enumerate()
            .filter(|(at, _)| (begin..end).contains(at))
            .map(|(_, c)| c)
            .collect()
    };
    for (place, word) in known.iter().enumerate() {
        words.push(word.clone());
        if place > ALL_KNOWN && place % 2 == 0 {
            let [begin, end] = [(); 2].map(|()| &known[rng.below(known.len())]);
            words.push(half(begin, true) + &half(end, false));
        }
    }
}

/// At least `bytes` of text.
pub(super) fn mixed(bytes: usize, seed: u64, lexicon: &Lexicon) -> String {
    let (names, out) = (Vec::new(), String::with_capacity(bytes + 8192));
    let mut writer = Writer { rng: Rng(seed), lexicon, names, out };
    while writer.out.len() < bytes {
        match writer.rng.below(100) {
            0..=49 => writer.paragraph(&lexicon.latin, " ", [", ", ". "]),
            50..=56 => writer.paragraph(&lexicon.cyrillic, " ", [", ", ". "]),
            57..=61 => writer.paragraph(&lexicon.han_kana, "", ["，", "。"]),
            62..=67 => writer.paragraph(&lexicon.others, " ", [", ", ". "]),
            _ => writer.code(),
        }
    }
    writer.out
}

struct Writer<'a> {
    rng: Rng,
    lexicon: &'a Lexicon,
    /// What the piece of code at hand calls its things, the most used first.
    names: Vec<String>,
    out: String,
}

/// Up to here the frequency of a word falls as one over its rank, beyond as one over the square:
/// Ferrer i Cancho and Solé, "Two regimes in the frequency of words", 2001.
const KERNEL: usize = 6000;

/// The rank of a word in prose that has so many.
fn rank(rng: &mut Rng, words: usize) -> usize {
    let kernel = KERNEL.min(words);
    // The areas under 1/r up to the kernel's end and under kernel/r² beyond it.
    let (common, rare) = ((kernel as f64).ln(), 1.0 - kernel as f64 / words as f64);
    let share = rng.below(1 << 32) as f64 / (1_u64 << 32) as f64 * (common + rare);
    match share < common {
        true => (share.exp() - 1.0) as usize,
        false => ((kernel as f64 / (1.0 + common - share)) as usize).min(words - 1),
    }
}

/// A line of code; `N` is a name, `T` a type, `#` a number, `S` a few words.
const LINES: &[&str] = &[
    "fn N(&self, N: T) -> Result<T> {",
    "    let N = self.N[N + #] * N;",
    "    if N != #x && !N.is_empty() {",
    "        return Err(format!(\"S: {N:?}\\n\"));",
    "    }",
    "}",
    "// S",
    "    def N(self, N, N=#):",
    "        \"\"\"S.\"\"\"",
    "        return [N for N in self.N if N % # == #]",
    "import { T, N } from './N/N';",
    "const N = await fetch(`/api/v#/N?id=${N.N}`);",
    "    for (int i = 0; i < N->N; ++i) { N[i] = (T)N(i, #.#f); }",
    "    @include N-N(#px, $N);",
    "select N, count(*) from N where N >= # group by N;",
    "    \"N\": {\"N\": #, \"N\": \"S\", \"N\": [#, #, #.#]},",
    "<div class=\"N-N\" id=\"N#\"><p>S</p></div>",
    "\t@Override public T N(T N) { return N.N(N, null); }",
    "    assert_eq!(N.N(), 0x#x_#x);",
    "",
];

impl Writer<'_> {
    fn paragraph(&mut self, words: &[String], space: &str, [comma, stop]: [&str; 2]) {
        for _ in 0..2 + self.rng.below(6) {
            let count = 4 + self.rng.below(22);
            for place in 0..count {
                let start = self.out.len();
                self.word(words);
                if place == 0 {
                    self.capitalise(start);
                }
                self.out.push_str(match self.rng.below(12) {
                    _ if place + 1 == count => stop,
                    0 => comma,
                    _ => space,
                });
            }
        }
        self.out.push_str("\n\n");
    }

    fn word(&mut self, words: &[String]) {
        match self.rng.below(100) {
            0..=95 => self.known(words),
            96..=97 => self.number(),
            98 => self
                .out
                .push_str(["it's", "U.S.", "e-mail", "“ja”", "—", "(sic)"][self.rng.below(6)]),
            _ => self.out.push_str(["😀", "👩‍💻", "½", "№ 7", "°C", "…"][self.rng.below(6)]),
        }
    }

    fn known(&mut self, words: &[String]) {
        self.out.push_str(&words[rank(&mut self.rng, words.len())]);
    }

    fn number(&mut self) {
        let number = self.rng.zipf(1 << 24);
        self.out.push_str(&number.to_string());
    }

    fn capitalise(&mut self, start: usize) {
        let Some(first) = self.out[start..].chars().next() else { return };
        let upper: String = first.to_uppercase().collect();
        self.out.replace_range(start..start + first.len_utf8(), &upper);
    }

    fn code(&mut self) {
        self.names.clear();
        let first = self.rng.below(LINES.len());
        for line in 0..8 + self.rng.below(60) {
            // Lines that belong together mostly follow each other.
            let at = match self.rng.below(4) {
                0 => self.rng.below(LINES.len()),
                _ => (first + line) % LINES.len(),
            };
            self.line(LINES[at]);
            self.out.push('\n');
        }
        self.out.push('\n');
    }

    fn line(&mut self, line: &str) {
        for character in line.chars() {
            match character {
                'N' => self.name(),
                'T' => {
                    let start = self.out.len();
                    self.name();
                    self.capitalise(start);
                }
                '#' => self.number(),
                'S' => {
                    for place in 0..2 + self.rng.below(5) {
                        self.out.push_str(if place > 0 { " " } else { "" });
                        self.known(&self.lexicon.latin);
                    }
                }
                other => self.out.push(other),
            }
        }
    }

    /// A name of this piece of code: mostly one that it has used before.
    fn name(&mut self) {
        let start = self.out.len();
        if !self.names.is_empty() && self.rng.below(8) > 0 {
            return self.out.push_str(&self.names[self.rng.zipf(self.names.len())]);
        }
        self.known(&self.lexicon.latin);
        match self.rng.below(5) {
            0 => {
                self.out.push('_');
                self.known(&self.lexicon.latin);
            }
            1 => {
                let start = self.out.len();
                self.known(&self.lexicon.latin);
                self.capitalise(start);
            }
            _ => {}
        }
        self.names.push(self.out[start..].to_owned());
    }
}
