//! A SentencePiece vocabulary of Llama's size without a file: the first words and parts of words of
//! o200k with scores in their order, characters, and the 256 bytes.

use crate::suites::tokenizer::toys::{self, FIRST_PIECE};
use engine::loader::gguf::Metadata;
use std::collections::HashMap;
use tiktoken_rs::CoreBPE;

/// As in Llama 2 and Phi-3.
const TOKENS: usize = 32_000;

/// Pieces in SentencePiece's writing, the best first.
fn pieces(o200k: &CoreBPE) -> Vec<String> {
    let mut pieces: Vec<String> = vec!["▁".into()];
    for id in 0.. {
        if pieces.len() + FIRST_PIECE as usize == TOKENS {
            break;
        }
        let Ok(token) = o200k.decode_bytes(&[id]) else { break };
        let Ok(text) = String::from_utf8(token) else { continue };
        let inner = text.trim_start_matches(' ');
        // Runs of spaces are pieces in Llama too; a space after something else never is.
        let fits = !text.contains(['\n', '\r', '\t', '\0']) && !inner.contains(' ');
        if fits && !text.is_empty() && text != " " {
            pieces.push(text.replace(' ', "▁"));
        }
    }
    pieces
}

/// As a GGUF file would hold it.
pub(super) fn metadata(o200k: &CoreBPE) -> Metadata {
    toys::sentencepiece(pieces(o200k).iter().map(String::as_str), &[])
}

/// Piece → id and score, for the encoder that judges.
pub(super) fn table(o200k: &CoreBPE) -> HashMap<String, (u32, f32)> {
    let pieces = pieces(o200k).into_iter().enumerate();
    pieces.map(|(place, piece)| (piece, (place as u32 + FIRST_PIECE, -(place as f32)))).collect()
}
