//! SentencePiece's merging written to be read: join the two neighbours whose whole scores highest,
//! the leftmost first, until none is a token; then bytes for what is none. Quadratic, shares no
//! code with the engine, and judges it on the start of the measured text.

use crate::suites::tokenizer::toys::FIRST_BYTE;
use std::collections::HashMap;

/// The ids of `text`, with the space that SentencePiece puts before it.
pub(super) fn encode(tokens: &HashMap<String, (u32, f32)>, text: &str) -> Vec<u32> {
    let escaped = format!(" {text}").replace(' ', "▁");
    let mut ids = Vec::new();
    // No token of this vocabulary has ▁ after another character, so words are independent.
    let mut starts: Vec<usize> = vec![0];
    let mut before = '▁';
    for (at, character) in escaped.char_indices() {
        if character == '▁' && before != '▁' {
            starts.push(at);
        }
        before = character;
    }
    starts.push(escaped.len());
    for pair in starts.windows(2) {
        word(tokens, &escaped[pair[0]..pair[1]], &mut ids);
    }
    ids
}

fn word(tokens: &HashMap<String, (u32, f32)>, word: &str, ids: &mut Vec<u32>) {
    let mut parts: Vec<String> = word.chars().map(String::from).collect();
    loop {
        let mut best: Option<(usize, f32)> = None;
        for (place, pair) in parts.windows(2).enumerate() {
            if let Some((_, score)) = tokens.get(&pair.concat())
                && best.is_none_or(|(_, most)| *score > most)
            {
                best = Some((place, *score));
            }
        }
        let Some((place, _)) = best else { break };
        let right = parts.remove(place + 1);
        parts[place].push_str(&right);
    }
    for part in parts {
        match tokens.get(&part) {
            Some((id, _)) => ids.push(*id),
            None => ids.extend(part.bytes().map(|byte| u32::from(byte) + FIRST_BYTE)),
        }
    }
}
