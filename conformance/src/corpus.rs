//! Text for measurements: mixed prose and code, as long as asked for, from a seed. Words are drawn
//! by Zipf's law and a share of them is invented, so that a text has the rare words of real text
//! and no passage is there twice. Knows no tokeniser.

/// SplitMix64.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }

    /// A place below `end`, small ones much more often: uniform in the logarithm, as ranks of words
    /// in a text nearly are.
    pub(crate) fn zipf(&mut self, end: usize) -> usize {
        let share = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        ((end as f64).powf(share) - 1.0) as usize
    }
}

const WORDS: &str = "\
    the of and to in a is that for it as was with be by on not he his but at are this have \
    from or had an they which one you were all her she there would their we him been has \
    when who will no more if out so up said what its about than into them can only other \
    time new some could these two may first then do any like my now over such our man me \
    even most made after also did many off before must well back through years much where \
    your way down should because long each just state those people too little good world \
    make very year still see own work men day get here between both life being under three \
    never know same last another while us might great go come since against right came take \
    used himself few house use place during high without again home around small however \
    found part school once general upon number system water government because always \
    possible political question service present family economic public language development \
    information research important national different experience community university \
    department international performance significant understanding environment";

/// The most frequent words of English prose, the most frequent first.
pub(crate) fn words() -> impl Iterator<Item = &'static str> {
    WORDS.split_whitespace()
}

const SYLLABLES: &[&str] = &[
    "an", "ber", "co", "de", "el", "fer", "gra", "ho", "in", "jo", "ka", "lis", "men", "na", "or",
    "per", "qui", "ra", "sto", "ti", "un", "ver", "wi", "xe", "yo", "zu", "tion", "ing", "ed",
    "er", "ly", "ment", "ous", "able", "st", "tr", "ph", "ch",
];

const NAMES: &[&str] = &[
    "index", "value", "count", "buffer", "result", "node", "key", "map", "size", "offset", "item",
    "state", "config", "token", "data", "name", "error", "list", "self", "ctx", "len", "ptr",
    "row",
];

/// At least `bytes` of text.
pub fn prose_and_code(bytes: usize, seed: u64) -> String {
    let words: Vec<&str> = words().collect();
    let mut rng = Rng(seed);
    let mut text = String::with_capacity(bytes + 4096);
    while text.len() < bytes {
        match rng.below(3) {
            0 => code(&mut rng, &mut text),
            _ => paragraph(&mut rng, &words, &mut text),
        }
    }
    text
}

fn paragraph(rng: &mut Rng, words: &[&str], text: &mut String) {
    for _ in 0..2 + rng.below(6) {
        let count = 4 + rng.below(20);
        for place in 0..count {
            let start = text.len();
            match rng.below(100) {
                0..=79 => text.push_str(words[rng.zipf(words.len())]),
                80..=95 => invented(rng, text),
                96..=97 => text.push_str(&(1 + rng.zipf(2030)).to_string()),
                98 => text.push_str(
                    ["naïve", "Zürich", "“quote”", "café", "—", "São", "中文"][rng.below(7)],
                ),
                _ => text
                    .push_str(["it's", "don't", "U.S.", "e.g.", "they're", "(sic)"][rng.below(6)]),
            }
            if place == 0 {
                capitalise(text, start);
            }
            text.push_str(match rng.below(14) {
                0 if place + 1 < count => ", ",
                _ if place + 1 == count => ". ",
                _ => " ",
            });
        }
    }
    text.push_str("\n\n");
}

fn capitalise(text: &mut String, start: usize) {
    let upper = text[start..].chars().next().map(|first| first.to_ascii_uppercase());
    if let Some(upper) = upper {
        let length = text[start..].chars().next().map_or(0, char::len_utf8);
        text.replace_range(start..start + length, upper.encode_utf8(&mut [0; 4]));
    }
}

fn invented(rng: &mut Rng, text: &mut String) {
    for _ in 0..1 + rng.below(4) {
        text.push_str(SYLLABLES[rng.below(SYLLABLES.len())]);
    }
}

fn name(rng: &mut Rng, text: &mut String) {
    text.push_str(NAMES[rng.zipf(NAMES.len())]);
    if rng.below(3) == 0 {
        text.push('_');
        invented(rng, text);
    }
}

fn code(rng: &mut Rng, text: &mut String) {
    let mut depth = 0_usize;
    for _ in 0..6 + rng.below(20) {
        for _ in 0..depth {
            text.push_str("    ");
        }
        match rng.below(8) {
            0 => {
                text.push_str("fn ");
                name(rng, text);
                text.push_str("(&self, ");
                name(rng, text);
                text.push_str(": usize) -> Result<u64> {");
                depth += 1;
            }
            1 => {
                text.push_str("if ");
                name(rng, text);
                text.push_str(" != 0x");
                text.push_str(&format!("{:x}", rng.below(1 << 16)));
                text.push_str(" && !");
                name(rng, text);
                text.push_str(".is_empty() {");
                depth += 1;
            }
            2 if depth > 0 => {
                text.truncate(text.len() - 4);
                text.push('}');
                depth -= 1;
            }
            3 => {
                text.push_str("// ");
                invented(rng, text);
                text.push(' ');
                invented(rng, text);
            }
            4 => {
                text.push_str("return Err(format!(\"");
                invented(rng, text);
                text.push_str(": {e:?}\\n\"));");
            }
            _ => {
                text.push_str("let ");
                name(rng, text);
                text.push_str(" = self.");
                name(rng, text);
                text.push_str("[i + ");
                text.push_str(&rng.zipf(4096).to_string());
                text.push_str("] * ");
                name(rng, text);
                text.push(';');
            }
        }
        text.push('\n');
    }
    text.push('\n');
}
