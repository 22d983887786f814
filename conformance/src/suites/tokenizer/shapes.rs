//! Texts of many shapes, from a seed: what people write, and what breaks tokenisers. Knows no
//! vocabulary. The shapes cover those of llama.cpp's random tests and add scripts and invalid
//! UTF-8.

use proptest::prelude::{Just, Strategy, any};
use proptest::strategy::Union;

/// A way to make a fragment of text.
pub(super) struct Shape {
    pub(super) name: &'static str,
    make: fn(&mut Rng, &mut String),
}

/// Every shape whose texts are valid UTF-8.
pub(super) const SHAPES: &[Shape] = &[
    Shape { name: "words", make: words },
    Shape { name: "case", make: |rng, out| many(rng, 1, 12, out, cased) },
    Shape { name: "contractions", make: contractions },
    Shape { name: "digits", make: digits },
    Shape { name: "white-space", make: |rng, out| many(rng, 1, 12, out, |r| pick(r, SPACES)) },
    Shape { name: "line-ends", make: |rng, out| many(rng, 1, 8, out, |r| pick(r, LINE_ENDS)) },
    Shape { name: "punctuation", make: |rng, out| many(rng, 1, 10, out, punctuation) },
    Shape { name: "code", make: code },
    Shape { name: "scripts", make: scripts },
    Shape { name: "marks", make: marks },
    Shape { name: "emoji", make: emoji },
    Shape { name: "control-characters", make: |rng, out| many(rng, 1, 6, out, control) },
    Shape { name: "any-code-point", make: |rng, out| many(rng, 1, 8, out, any_character) },
    Shape { name: "special-looking", make: |rng, out| out.push_str(pick_str(rng, SPECIAL)) },
    Shape { name: "one-class-run", make: run },
];

/// SplitMix64: the same seed gives the same text everywhere.
pub(super) struct Rng(pub(super) u64);

impl Rng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }
}

/// A fragment of one shape.
pub(super) fn fragment(shape: &Shape, seed: u64) -> String {
    let mut out = String::new();
    (shape.make)(&mut Rng(seed), &mut out);
    out
}

/// Texts of up to `most` fragments of any shapes; a failing one shrinks by losing fragments.
pub(crate) fn texts(most: usize) -> impl Strategy<Value = Vec<String>> {
    let one = |shape: &'static Shape| any::<u64>().prop_map(|seed| fragment(shape, seed));
    let shapes = Union::new(SHAPES.iter().map(one));
    (Just(()), proptest::collection::vec(shapes, 0..=most)).prop_map(|((), fragments)| fragments)
}

const SPACES: &[char] = &[
    ' ', ' ', ' ', '\t', '\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{a0}', '\u{2003}', '\u{2028}',
    '\u{202f}', '\u{3000}', '\u{200b}',
];
const LINE_ENDS: &[char] = &['\n', '\n', '\r', ' ', '\t', '/'];
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~«»…—“”¿§€№→≠∑°™";
const LETTERS: &str =
    "abcxyzABCXYZſßéÉüÜñøØæÆłŁİıКирМмяΣςσԱաႠაǅǆʰªºⅷⅷ日本語한글あアกไทเนमनसلعبעב𐐀𐐨";
const MARKS: &[char] =
    &['\u{301}', '\u{308}', '\u{327}', '\u{94d}', '\u{93f}', '\u{e31}', '\u{20dd}'];
const CONTRACTIONS: &[&str] =
    &["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'RE", "'lL", "'ſ", "'r", "'", "’s"];
const SPECIAL: &[&str] = &[
    "<|endoftext|>",
    "<|start|>",
    "<|im_start|>",
    "<s>",
    "</s>",
    "<unk>",
    "<0x0A>",
    "<|end|>",
    "▁",
    "<|reserved_200000|>",
    "[PAD151936]",
    "<|",
];
const WORDS: &[&str] = &[
    "the",
    "of",
    "and",
    "Tokenizer",
    "unbelievably",
    "NASA",
    "iPhone",
    "naïve",
    "Straße",
    "HTTPServer",
    "don't",
    "e-mail",
    "coöperate",
    "kernel",
    "quantised",
    "über",
    "été",
    "привет",
    "мир",
    "こんにちは",
    "世界",
    "안녕하세요",
    "שלום",
    "مرحبا",
    "नमस्ते",
    "สวัสดี",
];
const CODE: &[&str] = &[
    "fn main() {\n",
    "    let x = vec![0u8; 1 << 20];\n",
    "\tif (a != b && c[i] >= 0x1F) {\n",
    "}\n\n",
    "// ----------\n",
    "#include <stdio.h>\n",
    "SELECT * FROM t WHERE id=42;\n",
    "a->b::c<T>();",
    "\"\\n\\t\"",
    "x_1 += y**2 - z//3\n",
    "<div class=\"a-b\">",
    "{\"k\": [1, 2.5e-3, null]}\n",
    "        return self.value\n",
    "http://a.b/c?d=e&f#g",
];
const EMOJI: &[&str] = &["😀", "👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪", "❤️", "1️⃣", "🧑🏿‍🚀", "🫠", "☺"];

fn pick(rng: &mut Rng, from: &[char]) -> char {
    from[rng.below(from.len())]
}

fn pick_str<'s>(rng: &mut Rng, from: &[&'s str]) -> &'s str {
    from[rng.below(from.len())]
}

fn pick_of(rng: &mut Rng, from: &str) -> char {
    let count = from.chars().count();
    from.chars().nth(rng.below(count)).unwrap_or(' ')
}

fn many(rng: &mut Rng, least: usize, most: usize, out: &mut String, one: fn(&mut Rng) -> char) {
    for _ in 0..least + rng.below(most - least + 1) {
        out.push(one(rng));
    }
}

fn words(rng: &mut Rng, out: &mut String) {
    for _ in 0..1 + rng.below(5) {
        out.push_str(pick_str(rng, WORDS));
        out.push_str(pick_str(rng, &[" ", " ", " ", ", ", ". ", "", "-", "  "]));
    }
}

fn cased(rng: &mut Rng) -> char {
    pick_of(rng, LETTERS)
}

fn contractions(rng: &mut Rng, out: &mut String) {
    out.push_str(pick_str(rng, &["it", "We", "DON", "", "é", "日", "1", " "]));
    out.push_str(pick_str(rng, CONTRACTIONS));
    out.push_str(pick_str(rng, &["", "x", " ", "S", "'s"]));
}

fn digits(rng: &mut Rng, out: &mut String) {
    const DIGITS: &str = "0123456789٣७½²Ⅷ";
    for _ in 0..1 + rng.below(9) {
        out.push(match rng.below(6) {
            0 => pick_of(rng, DIGITS),
            1 => pick(rng, &[' ', '.', ',']),
            _ => pick_of(rng, "0123456789"),
        });
    }
}

fn punctuation(rng: &mut Rng) -> char {
    pick_of(rng, PUNCTUATION)
}

fn code(rng: &mut Rng, out: &mut String) {
    for _ in 0..1 + rng.below(3) {
        out.push_str(pick_str(rng, CODE));
    }
}

fn scripts(rng: &mut Rng, out: &mut String) {
    const BLOCKS: &[(u32, u32)] = &[
        (0x41, 0x5a),
        (0x61, 0x7a),
        (0xc0, 0xff),
        (0x370, 0x3ff),
        (0x400, 0x4ff),
        (0x530, 0x58f),
        (0x5d0, 0x5ea),
        (0x620, 0x64a),
        (0x900, 0x97f),
        (0xe00, 0xe5b),
        (0x10a0, 0x10ff),
        (0x1100, 0x11ff),
        (0x1f00, 0x1fff),
        (0x3040, 0x30ff),
        (0x4e00, 0x9fff),
        (0xac00, 0xd7a3),
        (0xff21, 0xff5a),
        (0x10400, 0x1044f),
        (0x1d400, 0x1d7ff),
        (0x20000, 0x2a6df),
    ];
    for _ in 0..1 + rng.below(3) {
        let (first, last) = BLOCKS[rng.below(BLOCKS.len())];
        for _ in 0..1 + rng.below(6) {
            let code = first + rng.below((last - first + 1) as usize) as u32;
            out.extend(char::from_u32(code));
        }
        out.push_str(pick_str(rng, &["", " ", "A", "a"]));
    }
}

/// Letters with combining marks, decomposed and composed, and marks with nothing to stand on.
fn marks(rng: &mut Rng, out: &mut String) {
    for _ in 0..1 + rng.below(5) {
        if rng.below(3) > 0 {
            out.push(pick_of(rng, LETTERS));
        }
        for _ in 0..rng.below(3) {
            out.push(pick(rng, MARKS));
        }
        out.push_str(pick_str(rng, &["", "", " ", "é", "\u{feff}"]));
    }
}

fn emoji(rng: &mut Rng, out: &mut String) {
    for _ in 0..1 + rng.below(4) {
        out.push_str(pick_str(rng, EMOJI));
        out.push_str(pick_str(rng, &["", " ", "\u{fe0f}", "\u{200d}"]));
    }
}

fn control(rng: &mut Rng) -> char {
    char::from_u32(rng.below(0x20) as u32 + if rng.below(4) == 0 { 0x7f } else { 0 }).unwrap_or(' ')
}

fn any_character(rng: &mut Rng) -> char {
    char::from_u32(rng.below(0x11_0000) as u32).unwrap_or('\u{fffd}')
}

fn run(rng: &mut Rng, out: &mut String) {
    let one = match rng.below(4) {
        0 => pick(rng, SPACES),
        1 => pick_of(rng, "aZ0=-_'"),
        2 => pick_of(rng, LETTERS),
        _ => pick(rng, MARKS),
    };
    // Short enough for the oracles, which backtrack.
    for _ in 0..1 + rng.below(200) {
        out.push(one);
    }
}
