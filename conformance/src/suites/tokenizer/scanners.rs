//! `tokenizer::scanner::` — the hand-written scanners cut where the makers' regular expressions
//! do. The expressions stand here, run by a backtracking engine that shares no code with the
//! scanners; several steps are applied one after the other, each to the pieces of the one before.

use super::shapes::{self, Rng};
use crate::property;
use engine::profile::Profile;
use engine::tokenizer::{gpt2_text, pretokenize};
use fancy_regex::Regex;
use harness::{Case, Failure};
use std::sync::{Arc, LazyLock};

const GPT2: &str = concat!(
    r#"'s|'t|'re|'ve|'m|'ll|'d|"#,
    r#" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|"#,
    r#"\s+(?!\S)|\s+"#
);

const LLAMA3: &str = concat!(
    r#"(?i:'s|'t|'re|'ve|'m|'ll|'d)|"#,
    r#"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"#,
    r#" ?[^\s\p{L}\p{N}]+[\r\n]*|"#,
    r#"\s*[\r\n]+|"#,
    r#"\s+(?!\S)|\s+"#
);

const QWEN2: &str = concat!(
    r#"(?i:'s|'t|'re|'ve|'m|'ll|'d)|"#,
    r#"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"#,
    r#" ?[^\s\p{L}\p{N}]+[\r\n]*|"#,
    r#"\s*[\r\n]+|"#,
    r#"\s+(?!\S)|\s+"#
);

const MINICPM5: &str = concat!(
    r#"(?i:'s|'t|'re|'ve|'m|'ll|'d)|"#,
    r#"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+|"#,
    r#" ?[^\s\p{L}\p{N}]+[\r\n]*|"#,
    r#"\s*[\r\n]+|"#,
    r#"\s+(?!\S)|\s+"#
);

const SEED_CODER: &str = concat!(
    r#"(?i:'s|'t|'re|'ve|'m|'ll|'d)|"#,
    r#"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}|"#,
    r#" ?[^\s\p{L}\p{N}\r\n]+|"#,
    r#"\s*[\r\n]+|"#,
    r#"\s+(?!\S)|\s+"#
);

const QWEN35: &str = concat!(
    r#"(?i:'s|'t|'re|'ve|'m|'ll|'d)|"#,
    r#"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}|"#,
    r#" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|"#,
    r#"\s*[\r\n]+|"#,
    r#"\s+(?!\S)|\s+"#
);

const O200K: &str = concat!(
    r#"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"#,
    r#"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"#,
    r#"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"#,
    r#"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"#,
    r#"\p{N}{1,3}|"#,
    r#" ?[^\s\p{L}\p{N}]+[\r\n/]*|"#,
    r#"\s*[\r\n]+|"#,
    r#"\s+(?!\S)|\s+"#
);

const TEKKEN: &str = concat!(
    r#"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"#,
    r#"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|"#,
    r#"\p{N}|"#,
    r#" ?[^\s\p{L}\p{N}]+[\r\n/]*|"#,
    r#"\s*[\r\n]+|"#,
    r#"\s+(?!\S)|\s+"#
);

const O200K_LLAMA_CPP: &str = concat!(
    r#"[^\r\n\p{L}\p{N}]?((?=[\p{L}])([^a-z]))*((?=[\p{L}])([^A-Z]))+"#,
    r#"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|"#,
    r#"[^\r\n\p{L}\p{N}]?((?=[\p{L}])([^a-z]))+((?=[\p{L}])([^A-Z]))*"#,
    r#"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|"#,
    r#"\p{N}{1,3}|"#,
    r#" ?[^\s\p{L}\p{N}]+[\r\n/]*|"#,
    r#"\s*[\r\n]+|"#,
    r#"\s+(?!\S)|\s+"#
);

const LLAMA3_LLAMA_CPP: &str = concat!(
    r#"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|"#,
    r#"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"#,
    r#" ?[^\s\p{L}\p{N}]+[\r\n]*|"#,
    r#"\s*[\r\n]+|"#,
    r#"\s+(?!\S)|\s+"#
);

const DEEPSEEK3: &str = concat!(
    r#"[!\x22#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|"#,
    r#"[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|"#,
    r#" ?[\p{P}\p{S}]+[\r\n]*|"#,
    r#"\s*[\r\n]+|"#,
    r#"\s+(?!\S)|\s+"#
);

/// The cased letters that DeepSeek's file lists one range after another.
const DEEPSEEK_LETTERS: &str = concat!(
    r"\s?[A-Za-z\xB5\xC0-\xD6\xD8-\xF6\xF8-\u{1BA}\u{1BC}-\u{1BF}\u{1C4}-\u{293}\u{295}-\u{2AF}",
    r"\u{370}-\u{373}\u{376}\u{377}\u{37B}-\u{37D}\u{37F}\u{386}\u{388}-\u{38A}\u{38C}",
    r"\u{38E}-\u{3A1}\u{3A3}-\u{3F5}\u{3F7}-\u{481}\u{48A}-\u{52F}\u{531}-\u{556}",
    r"\u{10A0}-\u{10C5}\u{13A0}-\u{13F5}\u{13F8}-\u{13FD}\u{1C90}-\u{1CBA}\u{1CBD}-\u{1CBF}",
    r"\u{1D00}-\u{1D2B}\u{1D6B}-\u{1D77}\u{1D79}-\u{1D9A}\u{1E00}-\u{1F15}\u{1F18}-\u{1F1D}",
    r"\u{1F20}-\u{1F45}\u{1F48}-\u{1F4D}\u{1F50}-\u{1F57}\u{1F59}\u{1F5B}\u{1F5D}",
    r"\u{1F5F}-\u{1F7D}\u{1F80}-\u{1FB4}\u{1FB6}-\u{1FBC}\u{1FBE}\u{1FC2}-\u{1FC4}",
    r"\u{1FC6}-\u{1FCC}\u{1FD0}-\u{1FD3}\u{1FD6}-\u{1FDB}\u{1FE0}-\u{1FEC}\u{1FF2}-\u{1FF4}",
    r"\u{1FF6}-\u{1FFC}\u{2102}\u{2107}\u{210A}-\u{2113}\u{2115}\u{2119}-\u{211D}\u{2124}",
    r"\u{2126}\u{2128}\u{212A}-\u{212D}\u{212F}-\u{2134}\u{2139}\u{213C}-\u{213F}",
    r"\u{2145}-\u{2149}\u{214E}\u{2183}\u{2184}\u{2C00}-\u{2C7B}\u{2C7E}-\u{2CE4}",
    r"\u{2CEB}-\u{2CEE}\u{2CF2}\u{2CF3}\u{A640}-\u{A66D}\u{A680}-\u{A69B}\u{A722}-\u{A76F}",
    r"\u{A771}-\u{A787}\u{A78B}-\u{A78E}\u{AB70}-\u{ABBF}\u{FB00}-\u{FB06}\u{FB13}-\u{FB17}",
    r"\u{FF21}-\u{FF3A}\u{FF41}-\u{FF5A}\u{10400}-\u{1044F}\u{104B0}-\u{104D3}",
    r"\u{104D8}-\u{104FB}\u{10C80}-\u{10CB2}\u{10CC0}-\u{10CF2}\u{118A0}-\u{118DF}",
    r"\u{1E900}-\u{1E943}]+"
);
const DEEPSEEK_SIGNS: &str =
    r"\s?[!-/:-~\u{FF01}-\u{FF0F}\u{FF1A}-\u{FF5E}\u{2018}-\u{201F}\u{3000}-\u{3002}]+";
const DEEPSEEK_CJK: &str = "[一-龥ࠀ-一가-\u{d7ff}]+";
const FALCON_PUNCTUATION: &str = r"[\p{P}$+<=>^~|`]+";
const DEFAULT_PUNCTUATION: &str = r"[\p{P}$+<=>^~|]+";
const TRIPLE: &str = "[0-9][0-9][0-9]";

/// A pre-tokeniser, whose reading of it, and the expressions it stands for.
type Row = (&'static str, Profile, &'static [&'static str]);

/// Falcon's further steps look at bytes in GPT-2's writing, where some are digits and fractions.
const MAPPED: (&str, Profile, [&str; 2]) = ("falcon", Profile::Reference, [r"\p{N}+", TRIPLE]);

const ROWS: &[Row] = &[
    ("gpt-2", Profile::Reference, &[GPT2]),
    ("llama-bpe", Profile::Reference, &[LLAMA3]),
    ("llama-bpe", Profile::LlamaCpp, &[LLAMA3_LLAMA_CPP]),
    ("qwen2", Profile::Reference, &[QWEN2]),
    ("qwen35", Profile::Reference, &[QWEN35]),
    ("gpt-4o", Profile::Reference, &[O200K]),
    ("gpt-4o", Profile::LlamaCpp, &[O200K_LLAMA_CPP]),
    ("tekken", Profile::Reference, &[TEKKEN]),
    ("seed-coder", Profile::Reference, &[SEED_CODER]),
    ("minicpm5", Profile::Reference, &[r"\p{N}{1,3}", MINICPM5]),
    ("starcoder", Profile::Reference, &[r"\p{N}", GPT2]),
    ("falcon", Profile::Reference, &[FALCON_PUNCTUATION, GPT2]),
    ("falcon", Profile::LlamaCpp, &[FALCON_PUNCTUATION, GPT2, TRIPLE]),
    ("default", Profile::Reference, &[DEFAULT_PUNCTUATION, GPT2, r"\p{N}+", TRIPLE]),
    (
        "deepseek-llm",
        Profile::Reference,
        &[r"[\r\n]", DEEPSEEK_LETTERS, DEEPSEEK_SIGNS, r"\s+$", DEEPSEEK_CJK, r"\p{N}"],
    ),
    (
        "deepseek-llm",
        Profile::LlamaCpp,
        &[r"[\r\n]", DEEPSEEK_LETTERS, DEEPSEEK_SIGNS, r"\s+$", DEEPSEEK_CJK, r"\p{N}+"],
    ),
    (
        "deepseek-coder",
        Profile::Reference,
        &[r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", DEEPSEEK_CJK, r"\p{N}"],
    ),
    (
        "deepseek-v3",
        Profile::Reference,
        &[r"\p{N}{1,3}", "[一-龥\u{3040}-\u{309f}\u{30a0}-\u{30ff}]+", DEEPSEEK3],
    ),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = ROWS.iter().flat_map(cases_of).collect();
    cases.push(Case::new("tokenizer::scanner::every-row-of-the-table", every_row));
    cases.push(Case::new("tokenizer::scanner::deviations-show", deviations_show));
    cases
}

fn cases_of(row: &'static Row) -> [Case; 2] {
    let (name, profile, sources) = row;
    // Compiled when first asked for: every process of the suite lists the cases, few run these.
    let mapped = if (*name, *profile) == (MAPPED.0, MAPPED.1) { &MAPPED.2[..] } else { &[] };
    let regexes = Arc::new(LazyLock::new(|| -> Result<Steps, String> {
        Ok(Steps { of_text: compiled(sources)?, of_bytes: compiled(mapped)? })
    }));
    let profile_name = match profile {
        Profile::Reference => "original",
        Profile::LlamaCpp => "llama-cpp",
    };
    let prefix = format!("tokenizer::scanner::{name}::{profile_name}");
    let random = {
        let regexes = Arc::clone(&regexes);
        property::case_with(
            &format!("{prefix}::random"),
            shapes::texts(16),
            |fragments| format!("text = {:?}", fragments.concat()),
            move |fragments| compare(row, regexes.as_ref().as_ref()?, &fragments.concat()),
        )
    };
    let each = Case::new(format!("{prefix}::code-points"), move |_| {
        code_points(row, regexes.as_ref().as_ref()?)
    });
    [random.requirements(["C13"]), each.requirements(["C13"])]
}

/// What is applied to a text, and then to its bytes in GPT-2's writing.
struct Steps {
    of_text: Vec<Regex>,
    of_bytes: Vec<Regex>,
}

fn compiled(sources: &[&str]) -> Result<Vec<Regex>, String> {
    sources.iter().map(|source| Regex::new(source).map_err(|e| e.to_string())).collect()
}

fn compare(row: &Row, steps: &Steps, text: &str) -> Result<(), Failure> {
    let (name, profile, _) = row;
    let got = pretokenize::pieces(name, *profile, text.as_bytes());
    let got = got.ok_or_else(|| format!("no pre-tokeniser {name}"))?;
    let mapped: Vec<String> =
        cut(&steps.of_text, vec![text])?.iter().map(|piece| gpt2_text(piece.as_bytes())).collect();
    let want = cut(&steps.of_bytes, mapped.iter().map(String::as_str).collect())?;
    let got: Vec<String> = got.iter().map(|piece| gpt2_text(piece)).collect();
    if got == want || text.is_empty() {
        return Ok(());
    }
    let at = got.iter().zip(&want).take_while(|(got, want)| got == *want).count();
    let from = at.saturating_sub(1);
    let (got, want) = (&got[from..got.len().min(from + 4)], &want[from..want.len().min(from + 4)]);
    Err(format!("pieces differ from place {at} on\n  got    {got:?}\n  wanted {want:?}").into())
}

/// Each expression applied to the pieces that the one before it left.
fn cut<'t>(regexes: &[Regex], mut pieces: Vec<&'t str>) -> Result<Vec<&'t str>, Failure> {
    for regex in regexes {
        let mut finer = Vec::new();
        for piece in pieces {
            isolate(regex, piece, &mut finer)?;
        }
        pieces = finer;
    }
    Ok(pieces)
}

/// The matches of `regex` in `piece` and what lies between them.
fn isolate<'t>(regex: &Regex, piece: &'t str, out: &mut Vec<&'t str>) -> Result<(), Failure> {
    let mut at = 0;
    for found in regex.find_iter(piece) {
        let found = found?;
        if found.start() > at {
            out.push(&piece[at..found.start()]);
        }
        if found.end() > found.start() {
            out.push(found.as_str());
        }
        at = found.end();
    }
    if at < piece.len() {
        out.push(&piece[at..]);
    }
    Ok(())
}

/// Every code point between letters, spaces, digits and itself; a stride of other planes' private
/// use would only repeat itself, so only its ends are tried.
fn code_points(row: &Row, steps: &Steps) -> Result<(), Failure> {
    let mut rng = Rng(1);
    let mut text = String::new();
    let assigned = (0..0x3_4000).chain(0xe_0000..0xe_0200).chain(0x10_fff0..0x11_0000);
    for character in assigned.filter_map(char::from_u32) {
        text.push(character);
        match rng.below(7) {
            0 => text.push('a'),
            1 => text.push(' '),
            2 => text.push('7'),
            3 => text.push(character),
            4 => text.push('B'),
            5 => text.push('\n'),
            _ => {}
        }
        if text.len() > 2000 {
            compare(row, steps, &text)?;
            text.clear();
        }
    }
    compare(row, steps, &text)
}

/// Every name in the table cuts like a row that is judged here, whatever the text.
fn every_row(_: &mut harness::Run) -> Result<(), Failure> {
    let shapes =
        shapes::SHAPES.iter().flat_map(|shape| (0..8).map(|seed| shapes::fragment(shape, seed)));
    let mut texts: Vec<String> = shapes.collect();
    texts.push("It's 12345 days, ÜBER\u{301}all; приветМир!\r\n  x\t=\t日本語/*\n */ ".into());
    let cut = |name: &str| -> Result<Vec<Vec<Vec<u8>>>, Failure> {
        let one = |text: &String| {
            let pieces = pretokenize::pieces(name, Profile::Reference, text.as_bytes());
            let pieces = pieces.ok_or_else(|| format!("{name} has no row"))?;
            Ok(pieces.into_iter().map(<[u8]>::to_vec).collect())
        };
        texts.iter().map(one).collect()
    };
    let judged = ROWS.iter().filter(|row| row.1 == Profile::Reference).map(|row| cut(row.0));
    let judged: Vec<_> = judged.collect::<Result<_, _>>()?;
    for name in pretokenize::names() {
        let cuts = cut(name)?;
        if cuts.iter().zip(&texts).any(|(pieces, text)| pieces.concat() != text.as_bytes()) {
            return Err(format!("{name}: the pieces are not the text").into());
        }
        if !judged.contains(&cuts) {
            return Err(format!("{name} cuts like no row that is judged").into());
        }
    }
    Ok(())
}

/// Every declared deviation is one: its example is cut differently in the two profiles.
fn deviations_show(run: &mut harness::Run) -> Result<(), Failure> {
    for deviation in pretokenize::DEVIATIONS {
        for name in deviation.names {
            let cut = |profile| pretokenize::pieces(name, profile, deviation.example.as_bytes());
            if cut(Profile::Reference) == cut(Profile::LlamaCpp) {
                let example = deviation.example;
                return Err(format!("{}: {name} cuts {example:?} alike", deviation.id).into());
            }
        }
        run.deviation(deviation.id, deviation.what);
    }
    Ok(())
}
