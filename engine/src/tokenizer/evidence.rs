//! What a vocabulary says about the pre-tokeniser it was trained with, for a file that does not say
//! it itself. Gives evidence to a person; decides nothing.

use super::pieces::{Pieces, TokenType};
use super::pretokenize::names;

/// Traits of learned tokens that a pre-tokeniser forbids or allows.
#[derive(Debug, Default)]
struct Traits {
    most_digits: usize,
    word_with_contraction: bool,
    symbol_with_newline: bool,
    symbol_leads_word: bool,
}

/// A sentence: what was found, which names fit, and what to do.
pub(crate) fn of(pieces: &Pieces) -> String {
    let traits = look(pieces);
    let fits = match traits {
        Traits { word_with_contraction: true, symbol_with_newline: true, .. } => "gpt-4o",
        Traits { symbol_with_newline: true, most_digits: 2.., .. } => {
            "llama-bpe, dbrx or smaug-bpe"
        }
        Traits { symbol_with_newline: true, .. } => "qwen2, qwen35 or stablelm2",
        Traits { symbol_leads_word: true, .. } => "seed-coder or deepseek-v3",
        Traits { most_digits: 0 | 1, .. } => {
            "starcoder, refact, smollm, command-r, deepseek-coder or deepseek-llm"
        }
        Traits { most_digits: 3, .. } => "falcon or default",
        _ => "gpt-2, phi-2, mpt or olmo",
    };
    format!(
        "the file does not name its pre-tokeniser, and a wrong one gives wrong ids silently. Its \
         learned tokens have at most {} digits in a row, {} a word with 's, {} punctuation with a \
         line end, {} punctuation before a word; that fits {fits}. Name it with --pre NAME \
         ({} names are known)",
        traits.most_digits,
        has(traits.word_with_contraction),
        has(traits.symbol_with_newline),
        has(traits.symbol_leads_word),
        names().count(),
    )
}

fn has(yes: bool) -> &'static str {
    if yes { "include" } else { "lack" }
}

fn look(pieces: &Pieces) -> Traits {
    let mut traits = Traits::default();
    for id in (0..pieces.len() as u32).filter(|id| pieces.kind(*id) == Some(TokenType::Normal)) {
        let piece = pieces.get(id).unwrap_or_default();
        let digits = piece.iter().filter(|byte| byte.is_ascii_digit()).count();
        if digits == piece.len() {
            traits.most_digits = traits.most_digits.max(digits);
        }
        let symbol = piece.first().is_some_and(u8::is_ascii_punctuation);
        let letters = |part: &[u8]| part.len() > 1 && part.iter().all(u8::is_ascii_alphabetic);
        if let Some(word) = piece.strip_suffix(b"'s") {
            traits.word_with_contraction |= letters(word);
        }
        traits.symbol_with_newline |= symbol && piece.ends_with(b"\n");
        traits.symbol_leads_word |= symbol && piece[0] != b'\'' && letters(&piece[1..]);
    }
    traits
}
