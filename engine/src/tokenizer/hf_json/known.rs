//! What a tokenizer.json does, told from its parts: which of our own encoders does the same, if
//! any. Data first: a pattern that is not in the table is not guessed at.

use super::file::File;
use serde_json::Value as Json;

/// Who encodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    /// Byte-level BPE under this row of the pre-tokeniser table.
    Bpe(&'static str),
    /// BPE over characters, with a byte for what is no token (Llama, Phi-3).
    Fallback,
    /// The `tokenizers` crate, because of this.
    Foreign(&'static str),
}

const CONTRACTIONS: &str = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const TAIL: &str = r"\s*[\r\n]+|\s+(?!\S)|\s+";

/// Where the text is cut, as our scanners know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Gpt2,
    SingleDigits,
    Llama3,
    Qwen2,
    Qwen35,
    O200k,
}

/// Rows of the pre-tokeniser table: cut, composes first (NFC), whole pieces before merges.
const ROWS: [(Cut, bool, bool, &str); 10] = [
    (Cut::Gpt2, false, false, "gpt-2"),
    (Cut::Gpt2, true, false, "mpt"),
    (Cut::SingleDigits, false, false, "starcoder"),
    (Cut::SingleDigits, true, false, "command-r"),
    (Cut::Llama3, false, true, "llama-bpe"),
    (Cut::Llama3, false, false, "dbrx"),
    (Cut::Qwen2, true, false, "qwen2"),
    (Cut::Qwen2, false, false, "stablelm2"),
    (Cut::Qwen35, true, false, "qwen35"),
    (Cut::O200k, false, false, "gpt-4o"),
];

/// The expression of a `Split` as its maker writes it. `cl100k` is Llama 3's.
fn cut_of(pattern: &str) -> Option<Cut> {
    let signs = r" ?[^\s\p{L}\p{N}]+[\r\n]*";
    let word = r"[^\r\n\p{L}\p{N}]?";
    let single = format!(r"{CONTRACTIONS}|{word}\p{{L}}+|\p{{N}}|{signs}|{TAIL}");
    let triple = format!(r"{CONTRACTIONS}|{word}\p{{L}}+|\p{{N}}{{1,3}}|{signs}|{TAIL}");
    let marked_signs = signs.replace(r"\p{L}", r"\p{L}\p{M}");
    let marked = format!(r"{CONTRACTIONS}|{word}[\p{{L}}\p{{M}}]+|\p{{N}}|{marked_signs}|{TAIL}");
    let upper = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]";
    let lower = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]";
    let cased = [format!("{upper}*{lower}+"), format!("{upper}+{lower}*")];
    let [first, second] = cased.map(|letters| format!("{word}{letters}{CONTRACTIONS}?"));
    let slashed = signs.replace(r"[\r\n]", r"[\r\n/]");
    let o200k = format!(r"{first}|{second}|\p{{N}}{{1,3}}|{slashed}|{TAIL}");
    let gpt2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
    let known = [
        (single.as_str(), Cut::Qwen2),
        (triple.as_str(), Cut::Llama3),
        (marked.as_str(), Cut::Qwen35),
        (o200k.as_str(), Cut::O200k),
        (gpt2, Cut::Gpt2),
    ];
    known.iter().find(|(text, _)| *text == pattern).map(|(_, cut)| *cut)
}

/// Who can encode what the file describes.
pub(super) fn plan(file: &File) -> Plan {
    let model = &file.model;
    if model.kind.as_deref().unwrap_or("BPE") != "BPE" || model.merges.is_empty() {
        return Plan::Foreign("its model is not BPE");
    }
    let affix = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    if affix(&model.continuing_subword_prefix) || affix(&model.end_of_word_suffix) {
        return Plan::Foreign("its tokens say where in a word they stand");
    }
    if file.added_tokens.iter().any(|added| added.single_word) {
        return Plan::Foreign("an added token matches whole words only");
    }
    let composes = match file.normalizer.get("type").and_then(Json::as_str) {
        None if file.normalizer.is_null() => false,
        Some("NFC") => true,
        _ if model.byte_fallback && is_escape(&file.normalizer) => return fallback(file),
        _ => return Plan::Foreign("its normaliser is not one we know"),
    };
    if model.byte_fallback {
        return Plan::Foreign("bytes stand in for characters, but spaces are not written ▁");
    }
    let Some(cut) = cut(&file.pre_tokenizer) else {
        return Plan::Foreign("its pre-tokeniser is not one we know");
    };
    let row = ROWS
        .iter()
        .find(|(own, nfc, whole, _)| (*own, *nfc, *whole) == (cut, composes, model.ignore_merges));
    match row {
        Some((_, _, _, name)) => Plan::Bpe(name),
        None => Plan::Foreign("its parts are known, but not together"),
    }
}

fn fallback(file: &File) -> Plan {
    if !file.pre_tokenizer.is_null() {
        return Plan::Foreign("it cuts a text and falls back to bytes");
    }
    if file.model.ignore_merges {
        return Plan::Foreign("it falls back to bytes and ignores merges");
    }
    // Such a token is looked for where spaces are ▁ already, with one before it.
    if file.added_tokens.iter().any(|added| added.normalized) {
        return Plan::Foreign("an added token is normalised with the text");
    }
    Plan::Fallback
}

/// `▁` before a text and for each space: SentencePiece's escape as `transformers` spells it.
fn is_escape(normalizer: &Json) -> bool {
    let steps = normalizer["normalizers"].as_array().map_or(&[][..], Vec::as_slice);
    let [prepend, replace] = steps else { return false };
    prepend["type"] == "Prepend"
        && prepend["prepend"] == "▁"
        && replace["type"] == "Replace"
        && replace["pattern"]["String"] == " "
        && replace["content"] == "▁"
}

fn cut(pre_tokenizer: &Json) -> Option<Cut> {
    let alone = std::slice::from_ref(pre_tokenizer);
    let steps = match pre_tokenizer["type"].as_str()? {
        "Sequence" => pre_tokenizer["pretokenizers"].as_array()?.as_slice(),
        _ => alone,
    };
    let (last, before) = steps.split_last()?;
    if last["type"] != "ByteLevel" || last["add_prefix_space"] == true {
        return None;
    }
    // Before it was a switch, the expression was always used.
    let splits = last["use_regex"] != false;
    match (before, splits) {
        ([], true) => Some(Cut::Gpt2),
        ([step], true) if step["type"] == "Digits" && step["individual_digits"] == true => {
            Some(Cut::SingleDigits)
        }
        ([step], false)
            if step["type"] == "Split"
                && step["behavior"] == "Isolated"
                && step["invert"] != true =>
        {
            cut_of(step["pattern"]["Regex"].as_str()?)
        }
        _ => None,
    }
}
